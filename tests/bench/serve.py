"""The benchmark of `serve`: beside distribution's registry and its proxy mode, in one run.

    tests/bench/run serve [--runs N] [--into FOLDER] [--readme]

Prints the table, and writes serve.json and serve.md, beside this file unless told otherwise; with
--readme also the table of the README. Needs docker-registry, skopeo and Go.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import requests

from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from tests.bench.images import IMAGES, REPOSITORY, put
from tests.bench.readme import write_table
from tests.real.real_image import cache_folder
from tests.real.registries import RealRegistry, run_registry
from tests.real.serving import RealServer, configuration_for, run_server

HERE = Path(__file__).parent
_BLOB = 500 << 20
_SILENT_SECONDS = 24
UP = "up.example"
"""What the server calls the source registry."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `ratio` is ours in units of the peer's, None where there is none."""

    what: str
    ours: str
    peer: str
    ratio: float | None
    target: str


class Bench:
    """Measures one thing after the other; `folder` is for stores that are made and thrown away."""

    def __init__(self, upstream: RealRegistry, load: Path, folder: Path, runs: int) -> None:
        self._upstream = upstream
        self._load = load
        self._folder = folder
        self._runs = runs
        self._number = 0

    def figures(self) -> Iterator[Figure]:
        """Everything, in the order of the table."""
        yield self._cold_pull()
        with self._server() as server, self._registry() as registry:
            self._fill(server, registry)
            yield self._warm_manifest(server, registry)
            yield self._warm_blob(server, registry)
        yield self._two_hundred()
        yield self._memory()
        yield self._stalled()

    def _cold_pull(self) -> Figure:
        ours, peers = [], []
        for _ in range(self._runs):
            with self._server() as server:
                ours.append(self._pull(f"{server.host}/{UP}/{REPOSITORY}:real"))
            with self._registry(proxies=self._upstream) as proxy:
                peers.append(self._pull(f"{proxy.host}/{REPOSITORY}:real"))
        own, other = median(ours), median(peers)
        return Figure(
            "cold pull of the real image, squashed, beside distribution's proxy mode",
            f"{own:.2f} s",
            f"{other:.2f} s",
            own / other,
            "at most 1.3",
        )

    def _warm_manifest(self, server: RealServer, registry: RealRegistry) -> Figure:
        ours = self._rate(f"http://{server.host}/v2/{UP}/{REPOSITORY}/manifests/real", server)
        peer = self._rate(f"http://{registry.host}/v2/{REPOSITORY}/manifests/real", registry)
        return Figure(
            "warm manifest by tag, requests per second of processor time",
            f"{ours[1]:.0f} ({ours[0]:.0f} a second)",
            f"{peer[1]:.0f} ({peer[0]:.0f} a second)",
            ours[1] / peer[1],
            "at least 1.0",
        )

    def _warm_blob(self, server: RealServer, registry: RealRegistry) -> Figure:
        with RegistryClient() as client:
            repository = client.repository(Repository(self._upstream.host, "blob"))
            digest, _ = repository.upload_blob(_iter_random())
            client.repository(Repository(registry.host, "blob")).upload_blob(_iter_random())
        ours = f"http://{server.host}/v2/{UP}/blob/blobs/{digest}"
        own = self._throughput(ours)
        other = self._throughput(f"http://{registry.host}/v2/blob/blobs/{digest}")
        return Figure(
            "warm blob of 500 MiB, one client",
            f"{own / 1e6:.0f} MB/s",
            f"{other / 1e6:.0f} MB/s",
            own / other,
            "at least 1.0",
        )

    def _two_hundred(self) -> Figure:
        with self._server() as server:
            logged = self._upstream.log.stat().st_size
            url = f"http://{server.host}/v2/{UP}/{REPOSITORY}/manifests/layers-5"
            found = self._ask(url, 200, 200)
            with self._upstream.log.open() as log:
                log.seek(logged)
                asked = [line.split('"')[1] for line in log if '"GET /v2/' in line]
            jobs = metric(server, 'squashproxy_jobs_total{outcome="squashed"}')
        layers = [line for line in asked if "/blobs/" in line]
        again = len(layers) - len(set(layers))
        return Figure(
            "200 clients ask for one cold tag at once",
            f"{len(found['answers'])} answer, {jobs:.0f} job, {again} blobs fetched twice, "
            f"{found['seconds']:.1f} s",
            "",
            None,
            "1 fetch, 1 job, all served",
        )

    def _memory(self) -> Figure:
        with self._server() as server:
            image = self._image(server, "half-deleted")
            largest = max(image.layers, key=lambda layer: layer.size)
            blob = f"http://{server.host}/v2/{UP}/{REPOSITORY}/blobs/{largest.digest}"
            self._ask(blob, 1, 1)
            for tag in ("layers-125", "real"):
                body = {"image": f"{UP}/{REPOSITORY}:{tag}"}
                requests.post(f"http://{server.host}/api/v1/warm", json=body, timeout=60)
            found = self._ask(blob, 150, 50)
            until(lambda: not status(server)["jobs"])
            peak = _peak(server.process.pid)
        assert list(found["answers"]) == [f"200 {largest.digest}"], found["answers"]
        return Figure(
            "peak memory: 50 warm blob pulls at once, 2 jobs",
            f"{peak / 1e6:.0f} MB",
            "",
            None,
            "at most 200 MB",
        )

    def _stalled(self) -> Figure:
        """A job that cannot end in time: its upstream sends nothing for most of the wait."""
        with ExitStack() as stack:
            direct = self._pull(f"{self._upstream.host}/{REPOSITORY}:layers-5")
            server = stack.enter_context(self._server())
            pid = _pid_of(self._upstream)
            with ThreadPoolExecutor(1) as pool:
                slow = pool.submit(self._pull, f"{server.host}/{UP}/{REPOSITORY}:layers-5")
                stall = _stall(server, pid)
                took = slow.result()
        return Figure(
            f"a pull whose job meets an upstream that is silent for {stall:.0f} s",
            f"{took:.1f} s",
            f"{direct:.1f} s",
            None,
            "a plain pull + 25 s, no error",
        )

    def _fill(self, server: RealServer, registry: RealRegistry) -> None:
        self._image(server, "real")
        source = f"docker://{self._upstream.host}/{REPOSITORY}:real"
        target = f"docker://{registry.host}/{REPOSITORY}:real"
        _skopeo("--dest-tls-verify=false", source, target)

    def _image(self, server: RealServer, tag: str) -> ImageManifest:
        """The squashed image of a tag; waits until there is one."""
        url = f"http://{server.host}/v2/{UP}/{REPOSITORY}/manifests/{tag}"
        until(lambda: "X-Squashproxy-Source-Digest" in requests.get(url, timeout=60).headers)
        with RegistryClient() as client:
            repository = client.repository(Repository(server.host, f"{UP}/{REPOSITORY}"))
            image = parse_manifest(repository.get_manifest(tag), tag)
        assert isinstance(image, ImageManifest), "the benchmark's images are no indexes"
        return image

    def _pull(self, name: str) -> float:
        """Seconds of a pull by skopeo, into a folder that is thrown away."""
        os.sync()
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            begun = time.perf_counter()
            _skopeo("--quiet", f"docker://{name}", f"oci:{folder}:pulled")
            return time.perf_counter() - begun

    def _rate(self, url: str, server: RealServer | RealRegistry) -> tuple[float, float]:
        """Requests a second of wall and of processor time; the middle of the runs."""
        pid = server.process.pid if isinstance(server, RealServer) else _pid_of(server)
        count = 4000
        rates = []
        for _ in range(self._runs):
            before = _cpu(pid)
            found = self._ask(url, count, 8)
            rates.append((count / found["seconds"], count / (_cpu(pid) - before)))
        return median(rate[0] for rate in rates), median(rate[1] for rate in rates)

    def _throughput(self, url: str) -> float:
        """Bytes a second, one client; the middle of the runs, after one that warms up."""
        self._ask(url, 1, 1)
        time.sleep(1)
        found = [self._ask(url, 3, 1) for _ in range(self._runs)]
        return median(float(run["bytes"] / run["seconds"]) for run in found)

    def _ask(self, url: str, count: int, clients: int) -> dict[str, Any]:
        command = [str(self._load), url, str(count), str(clients)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextmanager
    def _server(self) -> Iterator[RealServer]:
        folder = self._new_folder()
        configuration = configuration_for(self._upstream, {"directory": str(folder / "store")})
        configuration["serve"]["upstreams"] = {UP: {"url": f"http://{self._upstream.host}"}}
        configuration["serve"]["listen"].pop("upstream")
        with run_server(folder, configuration) as server:
            yield server
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _registry(self, proxies: RealRegistry | None = None) -> Iterator[RealRegistry]:
        folder = self._new_folder()
        with run_registry(folder, proxies=proxies) as registry:
            yield registry
        shutil.rmtree(folder, ignore_errors=True)

    def _new_folder(self) -> Path:
        self._number += 1
        return self._folder / str(self._number)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    cache = cache_folder() / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    load = cache / "load"
    subprocess.run(["go", "build", "-C", HERE / "load", "-o", load, "."], check=True)
    with (
        tempfile.TemporaryDirectory(dir=cache) as folder,
        run_registry(cache / "serve-source", logs_access=True) as upstream,
    ):
        for image in IMAGES:
            if image.name in ("real", "layers-5", "layers-125", "half-deleted"):
                put(image, upstream.host, 0.5)
        figures = []
        for figure in Bench(upstream, load, Path(folder), arguments.runs).figures():
            sys.stderr.write(f"{figure.what}: {figure.ours} | {figure.peer}\n")
            figures.append(figure)
    table = _to_markdown(figures)
    (arguments.into / "serve.md").write_text(table)
    if arguments.readme:
        write_table("serve benchmark", table)
    sys.stdout.write(table)


def _to_markdown(figures: list[Figure]) -> str:
    lines = [
        f"{os.cpu_count()} cores; everything on one machine; medians.",
        "",
        "| what | squashproxy | peer | ratio | target |",
        "|---|---|---|--:|---|",
    ]
    for line in figures:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        lines.append(f"| {line.what} | {line.ours} | {line.peer} | {ratio} | {line.target} |")
    return "\n".join(lines) + "\n"


def _skopeo(*words: str) -> None:
    command = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false"]
    subprocess.run([*command, *words], check=True, stdout=subprocess.DEVNULL)


def _iter_random() -> Iterator[bytes]:
    """500 MiB that do not compress, the same each time."""
    piece = random.Random(1).randbytes(1 << 20)
    for number in range(_BLOB >> 20):
        yield number.to_bytes(4, "big") + piece[4:]


def status(server: RealServer) -> dict[str, Any]:
    """What the server says of itself."""
    found: dict[str, Any] = requests.get(f"http://{server.host}/api/v1/status", timeout=60).json()
    return found


def metric(server: RealServer, name: str) -> float:
    """The value of a metric; 0 where there is none."""
    text: str = requests.get(f"http://{server.host}/metrics", timeout=60).text
    for line in text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def _stall(server: RealServer, pid: int) -> float:
    """Stop the upstream as soon as the job runs, so that it cannot end in time; the seconds."""
    until(lambda: bool(status(server)["jobs"]))
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        time.sleep(_SILENT_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)
    return time.monotonic() - begun


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds, for ten minutes at most."""
    deadline = time.monotonic() + 600
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it never comes")
        time.sleep(0.05)


def _pid_of(registry: RealRegistry) -> int:
    """The process of a registry, by the configuration that it was started with."""
    path = str(registry.storage.parent / "config.yml")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if path in words:
            return int(folder.name)
    raise LookupError(f"no process serves {path}")


def _cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak(pid: int) -> int:
    """The largest resident size so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    main()
