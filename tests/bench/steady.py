"""A promotion of very many tags in which nothing changed, against processes that only ask.

    tests/bench/run steady [--repositories N] [--tags N] [--into FOLDER] [--readme]

The registries are simulated (steady_registry.py), the engine is real. Prints a table, and writes it
into FOLDER, which is this one otherwise; with --readme also into the README. Processor seconds
count: everything runs on one machine, and the floor is bound by its processor, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import options_hash
from tests.bench.measure import Failed
from tests.bench.readme import write_table

HERE = Path(__file__).parent
SQUASHPROXY = str(Path(sys.executable).parent / "squashproxy")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and processor, peak memory in bytes, and requests by kind."""

    wall: float
    cpu: float
    peak: int
    asked: Mapping[str, int]

    @property
    def requests(self) -> int:
        """Requests about manifests."""
        return sum(count for kind, count in self.asked.items() if kind.endswith(" manifest"))


class Registries:
    """The simulated registries, which run in a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.host = f"127.0.0.1:{self._line()}"

    def cost(self, command: Sequence[str]) -> Cost:
        """What a command costs, and asks."""
        with tempfile.NamedTemporaryFile("r") as usage:
            timed = ["/usr/bin/time", "-q", "-o", usage.name, "-f", "%U %S %M", *command]
            begun = time.perf_counter()
            done = subprocess.run(timed, capture_output=True, check=False, text=True)
            wall = time.perf_counter() - begun
            if done.returncode:
                raise Failed(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr}")
            user, system, peak = usage.read().split()
        return Cost(wall, float(user) + float(system), int(peak) << 10, self._asked())

    def _asked(self) -> Mapping[str, int]:
        assert self._process.stdin is not None, "it was opened"
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        found: dict[str, int] = json.loads(self._line())
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None, "it was opened"
        return self._process.stdout.readline().strip()


@contextmanager
def open_registries(repositories: int, tags: int) -> Iterator[Registries]:
    """Registries with so many repositories of so many tags each."""
    words = (str(repositories), str(tags), options_hash(CopyOptions()))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.steady_registry", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Registries(process)
        assert process.stdin is not None, "it was opened"
        process.stdin.close()


def steady(repositories: int, tags: int) -> dict[str, Cost]:
    """The costs of a first and a second run, and of both floors."""
    with tempfile.TemporaryDirectory() as folder, open_registries(repositories, tags) as at:
        config = Path(folder) / "squashproxy.yml"
        config.write_text(
            f"state: state\nlayer_memory: none\npromote:\n  - name: apps\n"
            f"    from: {at.host}/dev/*\n    to: {at.host}/prod/{{name}}\n"
        )
        promote = [SQUASHPROXY, "promote", "-q", str(config)]
        floor = [sys.executable, "-m", "tests.bench.steady_floor"]
        size = [at.host, str(repositories), str(tags)]
        return {
            "first run": at.cost(promote),
            "second run": at.cost(promote),
            "only the requests, same client": at.cost([*floor, "squashproxy", *size]),
            "only the requests, bare urllib3": at.cost([*floor, "urllib3", *size]),
        }


def to_markdown(costs: Mapping[str, Cost], repositories: int, tags: int) -> str:
    """The table."""
    count = repositories * tags
    second = costs["second run"].cpu
    place = f"{os.cpu_count()} cores, shared with the simulated registries"
    lines = [
        f"{count:,} tags in {repositories:,} repositories; {place}.",
        "",
        "| what | requests a tag | processor, s | wall, s | peak, MB | second run against it |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {cost.requests / count:.2f} | {cost.cpu:.1f} | {cost.wall:.1f} | "
        f"{cost.peak / 1e6:.0f} | {second / cost.cpu:.2f} |"
        for name, cost in costs.items()
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="tests/bench/run steady")
    parser.add_argument("--repositories", type=int, default=2000)
    parser.add_argument("--tags", type=int, default=50)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    chosen = parser.parse_args(arguments)
    costs = steady(chosen.repositories, chosen.tags)
    table = to_markdown(costs, chosen.repositories, chosen.tags)
    sys.stdout.write(table)
    (chosen.into / "steady.md").write_text(table)
    if chosen.readme:
        write_table("steady benchmark", table)


if __name__ == "__main__":
    main(sys.argv[1:])
