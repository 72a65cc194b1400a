"""The benchmark of workers: small images promoted by one process, and by several workers.

    tests/bench/run workers [--images N] [--runs N] [--into FOLDER] [--readme]

Every way promotes the same images between the same two registries, into a repository of its own, in
turn; the fastest of the runs counts, since others may use the machine. Prints the table, and writes
workers.md into FOLDER, which is this one otherwise; with --readme also into the README. Needs
docker-registry and redis-server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.bench.processes import group_seconds
from tests.bench.readme import write_table
from tests.fleet.redis_server import RedisServer, redis_server
from tests.fleet.serving import ServingWorker
from tests.real.pushing import PushToRegistry
from tests.real.real_image import cache_folder
from tests.real.registries import RealRegistry, run_registry

HERE = Path(__file__).parent
_LAYERS = 4
_LAYER = 50_000
_JOBS = 2
WORKERS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Row:
    """A way to promote: images a second, and seconds of processor time for an image.

    `processor` is that of everything that squashes: the process, and workers from their start on.
    """

    way: str
    rate: float
    processor: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a promotion: on the wall, and of processor time of the worker and of who asks."""

    wall: float
    worker: float
    asker: float


class Bench:
    """Promotes the images of `source` in several ways."""

    def __init__(
        self,
        source: RealRegistry,
        target: RealRegistry,
        broker: RedisServer,
        folder: Path,
        images: int,
    ) -> None:
        self.source = source
        self.target = target
        self.broker = broker
        self._folder = folder
        self._images = images
        self._number = 0

    def push(self) -> None:
        """Push the images: one repository with as many tags."""
        target = PushToRegistry(self.source)
        for number in range(self._images):
            content = random.Random(number)
            image = ImageBuilder()
            for layer in range(_LAYERS):
                built = LayerBuilder().file(f"{number}-{layer}", content.randbytes(_LAYER))
                image.layer(built.file("same", content.randbytes(_LAYER)))
            image.push(target, "apps", f"v{number}")

    def local(self) -> Row:
        """Promote in one process."""
        seconds, processor = self._promote({"jobs": _JOBS})
        return self._row(f"this process, {_JOBS} jobs", seconds, processor)

    def fleet(self, workers: int) -> Row:
        """Promote by workers that run one job at a time, and have begun before."""
        engine = {"kind": "celery", "broker": self.broker.url, "jobs": 1, "queue": f"w{workers}"}
        before = _children_seconds()
        with ExitStack() as stack:
            for _ in range(workers):
                stack.enter_context(self._worker(engine))
            seconds, _ = self._promote(engine)
        return self._row(
            f"{workers} {'worker' if workers == 1 else 'workers'}",
            *(seconds, _children_seconds() - before),
        )

    @property
    def bytes_of_image(self) -> int:
        """The bytes of a pushed image's layers, about."""
        return 2 * _LAYERS * _LAYER

    @contextmanager
    def worker(self, processes: int) -> Iterator[Callable[[], Spent]]:
        """A worker; what is given promotes all images anew, and says what that took."""
        engine = {"kind": "celery", "broker": self.broker.url, "jobs": processes, "queue": "one"}
        targets = [f"run-{number}" for number in range(1, 10)]
        rules = [self._rule(name) for name in targets]
        configuration = {
            "engine": engine,
            "promote": rules,
            "layer_memory": "none",
            "state": str(self._folder / "one"),
        }
        path = self._folder / "one.yml"
        path.write_text(json.dumps(configuration))
        worker = ServingWorker(configuration, self._folder / "worker-one")
        left = iter(targets)

        def promote() -> Spent:
            own = group_seconds(worker.process.pid)
            asker, begun = _children_seconds(), time.perf_counter()
            command = [sys.executable, "-m", "squashproxy", "promote", str(path), "-q"]
            subprocess.run([*command, "--rule", next(left)], check=True, stdout=subprocess.DEVNULL)
            wall = time.perf_counter() - begun
            return Spent(wall, group_seconds(worker.process.pid) - own, _children_seconds() - asker)

        try:
            worker.wait_ready()
            yield promote
        finally:
            worker.kill()

    def _rule(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "from": f"{self.source.host}/apps",
            "to": f"{self.target.host}/{name}/{{repo}}",
        }

    def _row(self, way: str, seconds: float, processor: float) -> Row:
        return Row(way, self._images / seconds, processor / self._images)

    def _promote(self, engine: dict[str, Any]) -> tuple[float, float]:
        """Seconds of wall and of processor time."""
        self._number += 1
        path = self._write(engine, f"run-{self._number}")
        before, begun = _children_seconds(), time.perf_counter()
        command = [sys.executable, "-m", "squashproxy", "promote", str(path), "-q"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun, _children_seconds() - before

    def _configuration(self, engine: dict[str, Any], name: str) -> dict[str, Any]:
        state = str(self._folder / name)
        rules = [self._rule(name)]
        return {"engine": engine, "promote": rules, "state": state, "layer_memory": "none"}

    def _write(self, engine: dict[str, Any], name: str) -> Path:
        path = self._folder / f"{name}.yml"
        path.write_text(json.dumps(self._configuration(engine, name)))
        return path

    @contextmanager
    def _worker(self, engine: dict[str, Any]) -> Iterator[None]:
        """A worker of the configuration that is promoted next."""
        name = f"run-{self._number + 1}"
        folder = self._folder / f"worker-{time.monotonic_ns()}"
        worker = ServingWorker(self._configuration(engine, name), folder)
        try:
            worker.wait_ready()
            yield
        finally:
            worker.kill()


@contextmanager
def open_bench(images: int) -> Iterator[Bench]:
    """Two registries, the first with the images, and a broker."""
    cache = cache_folder() / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name, ExitStack() as stack:
        folder = Path(name)
        source, target = (
            stack.enter_context(run_registry(folder / each)) for each in ("source", "target")
        )
        (folder / "redis").mkdir()
        broker = stack.enter_context(redis_server(folder / "redis"))
        bench = Bench(source, target, broker, folder, images)
        bench.push()
        yield bench


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    with open_bench(given.images) as bench:
        runs = []
        for _ in range(given.runs):
            runs.append([bench.local(), *(bench.fleet(count) for count in WORKERS)])
            for row in runs[-1]:
                sys.stderr.write(f"{row.way}: {row.rate:.1f} images a second\n")
    table = to_markdown([_best(rows) for rows in zip(*runs, strict=True)], given.images)
    (given.into / "workers.md").write_text(table)
    if given.readme:
        write_table("workers benchmark", table)
    sys.stdout.write(table)


def to_markdown(rows: Sequence[Row], images: int) -> str:
    """The table; the first row is what the others are compared with."""
    size = _LAYERS * 2 * _LAYER / 1e6
    lines = [
        f"{os.cpu_count()} cores; everything on one machine; {images} images of {size:.1f} MB.",
        "",
        "| promoted by | images a second | times this process | CPU s an image |",
        "|---|--:|--:|--:|",
    ]
    for row in rows:
        share = row.rate / rows[0].rate
        lines.append(f"| {row.way} | {row.rate:.1f} | {share:.2f} | {row.processor:.3f} |")
    return "\n".join(lines) + "\n"


def _best(rows: Sequence[Row]) -> Row:
    return Row(rows[0].way, max(row.rate for row in rows), min(row.processor for row in rows))


def _children_seconds() -> float:
    """Processor time of all processes that this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
