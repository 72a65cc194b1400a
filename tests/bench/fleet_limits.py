"""What limits a fleet of many workers, reckoned from what one job costs each part on this machine.

    tests/bench/run fleet_limits [--images N] [--into FOLDER] [--readme]

One worker promotes small images, while the processor time of Redis, of both registries and of the
process that asks is measured; then it idles, and what that costs Redis is measured, too. A part
that everybody shares can do at most one second of its work in a second. Many workers are not
started: what they would need is these costs times their number. Needs docker-registry and
redis-server.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from squashproxy.report.sizes import size_text
from tests.bench.processes import command_seconds
from tests.bench.readme import write_table
from tests.bench.workers import Bench, open_bench

HERE = Path(__file__).parent
FLEETS = (10, 100, 1000)
_IDLE_SECONDS = 10.0
_BUSY = 0.7
"""The share of its time that a part may be busy before jobs wait noticeably for it."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one job costs, in seconds of processor time where nothing else is said.

    `seconds` is how long a process of a worker has the job; `commands` are those of Redis, and
    `idle` what a worker that waits costs Redis in each second. `sent` are the bytes of a job, and
    `kept` the bytes that Redis holds of it, also for an hour after its end.
    """

    seconds: float
    worker: float
    asker: float
    redis: float
    commands: float
    idle: float
    registry: float
    sent: int
    kept: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet of workers with one process each, all of them busy."""

    workers: int
    costs: Costs

    @property
    def rate(self) -> float:
        """Jobs a second, if nothing limits them."""
        return self.workers / self.costs.seconds

    @property
    def redis(self) -> float:
        """The share of its time that Redis, which has one thread, is busy."""
        return self.rate * self.costs.redis + self.workers * self.costs.idle

    @property
    def asker(self) -> float:
        """How many processes that ask are needed to keep the workers busy."""
        return self.rate * self.costs.asker

    @property
    def registry(self) -> float:
        """How many cores a registry needs."""
        return self.rate * self.costs.registry

    @property
    def sent(self) -> float:
        """Bytes a second, in and out of a registry."""
        return self.rate * self.costs.sent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    table = to_markdown(measure(given.images), given.images)
    (given.into / "fleet_limits.md").write_text(table)
    if given.readme:
        write_table("fleet limits benchmark", table)
    sys.stdout.write(table)


def measure(images: int) -> Costs:
    """Let one worker promote small images, and then wait."""
    with open_bench(images) as bench:
        with bench.worker(1) as promote:
            promote()  # connections and modules are there the second time
            before = _used(bench)
            spent = promote()
            after = _used(bench)
            time.sleep(_IDLE_SECONDS)
            idle = _used(bench).redis - after.redis
        return Costs(
            seconds=spent.wall / images,
            worker=spent.worker / images,
            asker=spent.asker / images,
            redis=max(0.0, after.redis - before.redis - idle * spent.wall / _IDLE_SECONDS) / images,
            commands=(after.commands - before.commands) / images,
            idle=idle / _IDLE_SECONDS,
            registry=(after.registry - before.registry) / 2 / images,
            sent=bench.bytes_of_image,
            kept=(after.memory - before.memory) / images,
        )


@dataclass(frozen=True, slots=True)
class _Used:
    redis: float
    commands: int
    memory: int
    registry: float


def _used(bench: Bench) -> _Used:
    """What Redis and the registries have used since they began."""
    with bench.broker.client as client:
        said = client.info()
        memory = sum(client.memory_usage(key) or 0 for key in client.scan_iter())
    return _Used(
        said["used_cpu_user"] + said["used_cpu_sys"],
        said["total_commands_processed"],
        memory,
        sum(command_seconds(str(each.storage.parent)) for each in (bench.source, bench.target)),
    )


def to_markdown(costs: Costs, images: int) -> str:
    """What a job costs, and what fleets of several sizes need."""
    return "\n".join([*_of_a_job(costs, images), "", *_of_fleets(costs)]) + "\n"


def _of_a_job(costs: Costs, images: int) -> Iterator[str]:
    yield f"{os.cpu_count()} cores; {images} images of {size_text(costs.sent)}, one worker process."
    yield ""
    yield "| of one job | |"
    yield "|---|--:|"
    yield f"| a process of a worker has it | {1000 * costs.seconds:.1f} ms |"
    yield f"| processor time: worker | {1000 * costs.worker:.1f} ms |"
    yield f"| the process that asks, planning included | {1000 * costs.asker:.1f} ms |"
    yield f"| each registry | {1000 * costs.registry:.1f} ms |"
    yield f"| Redis | {1000 * costs.redis:.2f} ms, {costs.commands:.0f} commands |"
    yield f"| memory of Redis, until an hour after its end | {costs.kept / 1000:.1f} kB |"
    yield f"| a worker that waits, in each second, of Redis | {1000 * costs.idle:.2f} ms |"


def _of_fleets(costs: Costs) -> Iterator[str]:
    yield (
        "| worker processes | small images a second | Redis is busy | processes that ask "
        "| cores of a registry | through a registry, a second |"
    )
    yield "|--:|--:|--:|--:|--:|--:|"
    for workers in FLEETS:
        fleet = Fleet(workers, costs)
        yield (
            f"| {workers:,} | {fleet.rate:,.0f} | {_share(fleet.redis)} | {fleet.asker:.1f} "
            f"| {fleet.registry:.1f} | {size_text(round(fleet.sent))} |"
        )
    yield ""
    per_worker = Fleet(1, costs).redis
    yield (
        f"One Redis is enough for about {_BUSY / per_worker:,.0f} processes that do nothing but "
        f"small images, if it may be busy for {_BUSY:.0%} of its time."
    )


def _share(busy: float) -> str:
    return f"{busy:.0%}" if busy <= 1 else f"{busy:.1f} times what it can"


if __name__ == "__main__":
    main()
