"""The benchmark of servers over a fleet: many pulls at once through several servers.

    tests/bench/run replicas [--pulls N] [--images N] [--servers N] [--workers N] [--size KIB]
        [--into FOLDER] [--readme]

Each pull is a client of its own that takes the manifest, the config and all layers of an image, and
checks every digest. Nothing is squashed before: all pulls begin at the same moment. Servers and
workers are processes over one registry as the store and one Redis. Prints the table, and writes
replicas.md into FOLDER, which is this one otherwise; with --readme also into the README. Needs
docker-registry, redis-server and Go.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.bench.readme import write_table
from tests.bench.serve import metric, status, until
from tests.fleet.redis_server import redis_server
from tests.fleet.serving import ServingWorker
from tests.real.pushing import PushToRegistry
from tests.real.real_image import cache_folder
from tests.real.registries import RealRegistry, run_registry
from tests.real.serving import RealServer, run_server

HERE = Path(__file__).parent
UP = "up.example"
_LAYERS = 6


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the run is; `layer` is the size of each layer in bytes."""

    pulls: int = 1000
    images: int = 50
    servers: int = 3
    workers: int = 2
    layer: int = 200 << 10


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a run: all pulls as the program says, the peaks of memory in bytes, and
    `warnings` as the servers' pages show them.

    `jobs` is how many jobs the servers began and saw done, `deliveries` how often one was handed to
    a worker, both before anybody looked whether all images are squashed.
    """

    sizes: Sizes
    pulls: Sequence[dict[str, Any]]
    warnings: Sequence[str]
    seconds: float
    jobs: float
    deliveries: float
    squashed_at_the_end: int
    server_peaks: Sequence[int]
    worker_peaks: Sequence[int]

    @property
    def errors(self) -> list[str]:
        """What clients complained of."""
        return [pull["error"] for pull in self.pulls if pull["error"]]

    def to_markdown(self) -> str:
        """The table."""
        sizes = self.sizes
        answers = Counter(pull["source"] for pull in self.pulls)
        whole = sorted(pull["seconds"] for pull in self.pulls)
        first = sorted(pull["manifest_seconds"] for pull in self.pulls)
        total = sum(pull["bytes"] for pull in self.pulls)
        rows = [
            ("pulls, each a client of its own; images", f"{sizes.pulls:,}; {sizes.images}"),
            ("servers; workers with 2 processes each", f"{sizes.servers}; {sizes.workers}"),
            ("layers of an image", f"{_LAYERS} of {sizes.layer >> 10} KiB"),
            ("client errors", f"{len(self.errors)}"),
            ("jobs begun; handed to a worker", f"{self.jobs:.0f}; {self.deliveries:.0f}"),
            ("pulls that got the squashed image; the original", _answers(answers)),
            ("images that are squashed at the end", f"{self.squashed_at_the_end}"),
            ("time to the manifest: median, p99, longest", _times(first)),
            ("time of the whole pull: median, p99, longest", _times(whole)),
            ("all pulls together", f"{self.seconds:.1f} s, {total / 1e6:,.0f} MB"),
            ("peak memory of a server", _megabytes(self.server_peaks)),
            ("peak memory of a worker's process", _megabytes(self.worker_peaks)),
        ]
        lines = [
            f"{os.cpu_count()} cores; clients, servers, workers, registries, Redis on one machine.",
            "",
            "| what | found |",
            "|---|---|",
            *(f"| {what} | {found} |" for what, found in rows),
        ]
        return "\n".join(lines) + "\n"


class Run:
    """One run: all processes, in folders below `folder`."""

    def __init__(self, sizes: Sizes, program: Path, folder: Path) -> None:
        self._sizes = sizes
        self._program = program
        self._folder = folder

    def measure(self) -> Found:
        """Push the images, start everything, pull, and look at what it cost."""
        sizes = self._sizes
        with ExitStack() as stack:
            upstream, store = (
                stack.enter_context(run_registry(self._folder / name))
                for name in ("upstream", "store")
            )
            redis_folder = self._folder / "redis"
            redis_folder.mkdir()
            broker = stack.enter_context(redis_server(redis_folder))
            self._push(upstream)
            section = _section(broker.url, upstream, store, self._folder)
            workers = [
                stack.enter_context(_worker(section, self._folder / f"worker-{number}"))
                for number in range(sizes.workers)
            ]
            servers = [
                stack.enter_context(run_server(self._folder / f"server-{number}", section))
                for number in range(sizes.servers)
            ]
            until(lambda: all(metric(each, "squashproxy_fleet_workers") for each in servers))
            begun = time.monotonic()
            pulls = self._pull([each.host for each in servers])
            seconds = time.monotonic() - begun
            until(lambda: not any(status(each)["jobs"] for each in servers))
            jobs = sum(
                metric(each, 'squashproxy_jobs_total{outcome="squashed"}') for each in servers
            )
            time.sleep(4)  # the figures of the fleet are those of the last look at it
            deliveries = metric(servers[0], "squashproxy_fleet_deliveries_total")
            squashed = sum(
                "X-Squashproxy-Source-Digest" in _head(servers[0], name).headers
                for name in self._names()
            )
            told = [error for each in servers for error in status(each)["errors"]]
            return Found(
                sizes,
                pulls,
                [f"{error['image']}: {error['message']}" for error in told],
                seconds,
                jobs,
                deliveries,
                squashed,
                [_peak(each.process.pid) for each in servers],
                [peak for each in workers for peak in _peaks_below(each.process.pid)],
            )

    def _names(self) -> list[str]:
        return [f"app-{number}" for number in range(self._sizes.images)]

    def _push(self, upstream: RealRegistry) -> None:
        target = PushToRegistry(upstream)
        for name in self._names():
            content = random.Random(name)
            image = ImageBuilder()
            for number in range(_LAYERS):
                data = content.randbytes(self._sizes.layer // 2)
                layer = LayerBuilder().file(f"{name}-{number}", data)
                layer.file("rewritten", content.randbytes(self._sizes.layer // 2))
                image.layer(layer)
            image.push(target, name, "1")

    def _pull(self, hosts: Sequence[str]) -> list[dict[str, Any]]:
        names = self._names()
        lines = [
            f"http://{hosts[number % len(hosts)]} {UP}/{names[number % len(names)]} 1"
            for number in range(self._sizes.pulls)
        ]
        random.Random(1).shuffle(lines)
        done = subprocess.run(
            [str(self._program)], input="\n".join(lines).encode(), check=True, capture_output=True
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def build(folder: Path) -> Path:
    """The program that pulls."""
    program = folder / "pulls"
    subprocess.run(["go", "build", "-C", HERE / "pulls", "-o", program, "."], check=True)
    return program


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pulls", type=int, default=1000)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=200, help="of a layer, in KiB; default 200")
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    sizes = Sizes(given.pulls, given.images, given.servers, given.workers, given.size << 10)
    cache = cache_folder() / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    program = build(cache)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        found = Run(sizes, program, Path(folder)).measure()
    for error, count in Counter([*found.errors, *found.warnings]).most_common(10):
        sys.stderr.write(f"{count} times: {error}\n")
    table = found.to_markdown()
    (given.into / "replicas.md").write_text(table)
    if given.readme:
        write_table("replicas benchmark", table)
    sys.stdout.write(table)


def _section(
    broker: str, upstream: RealRegistry, store: RealRegistry, folder: Path
) -> dict[str, Any]:
    return {
        "engine": {"kind": "celery", "broker": broker, "jobs": 2},
        "layer_memory": "none",
        "state": str(folder / "state"),
        "serve": {
            "listen": "127.0.0.1:0",
            "upstreams": {UP: {"url": f"http://{upstream.host}"}},
            "store": {"registry": f"{store.host}/squashed"},
            "drain": "1s",
        },
    }


@contextmanager
def _worker(section: dict[str, Any], folder: Path) -> Iterator[ServingWorker]:
    worker = ServingWorker(section, folder)
    try:
        worker.wait_ready()
        yield worker
    finally:
        worker.kill()


def _answers(answers: Counter[str]) -> str:
    original = answers.pop("original", 0)
    return f"{sum(answers.values()):,}; {original:,}"


def _times(values: Sequence[float]) -> str:
    return ", ".join(f"{_quantile(values, share):.1f} s" for share in (0.5, 0.99, 1.0))


def _quantile(values: Sequence[float], share: float) -> float:
    """The value of sorted `values` that `share` of them do not exceed."""
    return values[min(len(values) - 1, max(0, round(share * len(values)) - 1))]


def _megabytes(peaks: Sequence[int]) -> str:
    return f"{max(peaks) / 1e6:.0f} MB"


def _head(server: RealServer, name: str) -> requests.Response:
    return requests.get(f"http://{server.host}/v2/{UP}/{name}/manifests/1", timeout=60)


def _peaks_below(parent: int) -> list[int]:
    """The peaks of a process and of its children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [_peak(parent), *(_peak(int(child)) for child in children)]


def _peak(pid: int) -> int:
    """The largest resident size so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    main()
