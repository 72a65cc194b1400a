"""Promoting many small images beside `skopeo sync` and `regsync`, all between the same registries.

python -m tests.bench.promoting [--tags 1000] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.real.programs import find_program
from tests.real.registries import RealRegistry, run_registry

REPOSITORIES = 10
PROGRAMS = Path(__file__).parents[2] / ".cache" / "squashproxy-tests" / "bin"


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that promotes everything into a folder of its own at the target."""

    name: str
    command: Sequence[str]
    environ: dict[str, str]

    def run(self) -> float:
        """Seconds that it took. Raises CalledProcessError."""
        started = time.monotonic()
        subprocess.run(
            self.command, check=True, capture_output=True, env={**os.environ, **self.environ}
        )
        return time.monotonic() - started


def fill(registry: RealRegistry, tags: int) -> None:
    """Small images of three layers, of which the first is shared by all."""
    with RegistryClient(environ={}) as client:
        for number in range(tags):
            repo = client.repository(Repository(registry.host, f"apps/r{number % REPOSITORIES}"))
            builder = ImageBuilder().layer(LayerBuilder().file("base", b"base" * 5000))
            builder.layer(LayerBuilder().file("app", f"{number}".encode() * 500))
            builder.layer(LayerBuilder().file("app", f"new {number}".encode() * 500))
            image = builder.build()
            for digest, data in image.blobs.items():
                if repo.find_blob(digest) is None:
                    repo.upload_blob([data], digest)
            repo.put_manifest(image.manifest, f"v{number // REPOSITORIES}")


def squashproxy(folder: Path, old: str, new: str) -> Peer:
    config = folder / "squashproxy.yml"
    config.write_text(
        f"state: state\nengine: {{jobs: 4}}\npromote:\n  - name: apps\n    from: {old}/apps/*\n"
        f"    to: {new}/squashproxy/{{repo}}\n"
    )
    program = str(Path(sys.executable).parent / "squashproxy")
    return Peer("squashproxy promote", [program, "promote", "-q", str(config)], {})


def skopeo(folder: Path, old: str, new: str) -> Peer:
    config = folder / "skopeo.yml"
    images: dict[str, list[str]] = {f"apps/r{number}": [] for number in range(REPOSITORIES)}
    config.write_text(json.dumps({old: {"images": images, "tls-verify": False}}))
    command = ["skopeo", "sync", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false"]
    return Peer("skopeo sync", [*command, str(config), f"{new}/skopeo"], {})


def regsync(folder: Path, old: str, new: str) -> Peer:
    config = folder / "regsync.yml"
    sync = [
        {
            "source": f"{old}/apps/r{number}",
            "target": f"{new}/regsync/r{number}",
            "type": "repository",
        }
        for number in range(REPOSITORIES)
    ]
    creds = [{"registry": host, "tls": "disabled"} for host in (old, new)]
    config.write_text(json.dumps({"version": 1, "creds": creds, "sync": sync}))
    program = str(find_program("regsync", PROGRAMS))
    return Peer("regsync once", [program, "once", "-c", str(config)], {})


def measure(tags: int, runs: int) -> list[tuple[str, float, float, float]]:
    """Of each peer: the first run, the median of later ones, and requests a tag of a later one."""
    found = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        old = stack.enter_context(run_registry(folder / "old", logs_access=True))
        new = stack.enter_context(run_registry(folder / "new", logs_access=True))
        fill(old, tags)
        makers: list[Callable[[Path, str, str], Peer]] = [squashproxy, skopeo, regsync]
        for make in makers:
            peer = make(folder, old.host, new.host)
            first = peer.run()
            later = []
            asked = 0
            for _ in range(runs):
                before = _asked(old) + _asked(new)
                later.append(peer.run())
                asked = _asked(old) + _asked(new) - before
            found.append((peer.name, first, median(later), asked / tags))
    return found


def _asked(registry: RealRegistry) -> int:
    """The requests for manifests and blobs that a registry has logged."""
    text = registry.log.read_text(errors="replace")
    return text.count("/manifests/") + text.count("/blobs/")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tags", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rows = measure(arguments.tags, arguments.runs)
    print(f"{arguments.tags} tags in {REPOSITORIES} repositories, {os.cpu_count()} cores\n")  # noqa: T201 - a table
    print("| program | first run | unchanged | requests a tag | ratio unchanged |")  # noqa: T201
    print("|---|--:|--:|--:|--:|")  # noqa: T201
    ours = rows[0][2]
    for name, first, later, asked in rows:
        print(  # noqa: T201
            f"| {name} | {first:.1f} s | {later:.1f} s | {asked:.2f} | {ours / later:.2f} |"
        )


if __name__ == "__main__":
    main()
