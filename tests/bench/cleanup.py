"""Cleaning up one large repository of Debian's docker-registry: seconds and requests, by size.

    tests/bench/run cleanup [--sizes N ...] [--program PATH] [--limit SECONDS] [--into FILE]

For each size it pushes so many old images and a hundred that are kept, plans, and applies the plan.
`--program` measures another version; what does not end within the limit is stopped, and its figures
are those of what it did until then.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.real.registries import RealRegistry, run_registry

KEPT = 100
SQUASHPROXY = str(Path(sys.executable).parent / "squashproxy")
_ASKED = re.compile(r'"(GET|HEAD|PUT|POST|DELETE) (/v2/\S*) HTTP')


@dataclass(frozen=True, slots=True)
class Measure:
    """One command on one repository; `done` counts deletions."""

    name: str
    size: int
    seconds: float
    done: int
    asked: Counter[str]
    is_whole: bool

    def line(self) -> str:
        """A row of the table."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.asked.most_common(5))
        each = sum(self.asked.values()) / max(1, self.done or self.size)
        rest = "" if self.is_whole else f" (stopped after {self.done:,})"
        return (
            f"| {self.name} of {self.size:,}{rest} | {self.seconds:.1f} s | {each:.1f} | {kinds} |"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--program", default=SQUASHPROXY)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for one command")
    parser.add_argument("--into", type=Path)
    arguments = parser.parse_args()
    lines = ["| what | time | requests a deletion | requests |", "|---|--:|--:|---|"]
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            for measure in _measure(Path(folder), size, arguments.program, arguments.limit):
                lines.append(measure.line())
                sys.stderr.write(f"{measure.line()}\n")
    table = "\n".join(lines) + "\n"
    if arguments.into is not None:
        arguments.into.write_text(table)
    sys.stdout.write(table)


def _measure(folder: Path, size: int, program: str, limit: float) -> list[Measure]:
    with run_registry(folder / "registry", logs_access=True) as registry:
        fill(registry, size)
        config = folder / "cleanup.yml"
        config.write_text(
            f"state: state\ncleanup:\n  - name: old\n    repositories: ['{registry.host}/app']\n"
            "    keep: {tags: ['keep*']}\n    action: delete\n"
        )
        plan = ["cleanup", "-q", "--plan", str(folder / "plan.json")]
        steps = {"plan": plan, "apply": [*plan, "--apply"]}
        return [
            _run(f"{name}", size, registry, [program, *arguments, str(config)], limit)
            for name, arguments in steps.items()
        ]


def _run(name: str, size: int, registry: RealRegistry, command: list[str], limit: float) -> Measure:
    start = registry.log.stat().st_size
    begun = time.perf_counter()
    is_whole = True
    try:
        subprocess.run(command, check=True, timeout=limit, capture_output=True)
    except subprocess.TimeoutExpired:
        is_whole = False
    seconds = time.perf_counter() - begun
    text = registry.log.read_bytes()[start:].decode(errors="replace")
    asked = Counter(_kind(method, path) for method, path in _ASKED.findall(text))
    return Measure(name, size, seconds, asked["DELETE"], asked, is_whole)


def _kind(method: str, path: str) -> str:
    if method == "DELETE":
        return "DELETE"
    for part in ("tags/list", "referrers", "manifests", "blobs"):
        if part in path:
            return f"{method} {part}"
    return f"{method} {path}"


def fill(registry: RealRegistry, count: int) -> None:
    """Images of one small layer, each with a config and a manifest of its own."""
    with RegistryClient(environ={}) as client, ThreadPoolExecutor(4) as pool:
        repo = client.repository(Repository(registry.host, "app"))
        base = LayerBuilder().file("base", b"base" * 5000)

        def push(name: str) -> None:
            image = ImageBuilder(config={"Env": [f"NAME={name}"]}).layer(base).build()
            for digest, data in image.blobs.items():
                if repo.find_blob(digest) is None:
                    repo.upload_blob([data], digest)
            repo.put_manifest(image.manifest, name)

        push("keep0")
        names = [f"keep{number}" for number in range(1, KEPT)]
        names += [f"old{number}" for number in range(count)]
        for _ in pool.map(push, names):
            pass


if __name__ == "__main__":
    main()
