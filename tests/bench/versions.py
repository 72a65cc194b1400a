"""Two versions of the typical image, one after the other, in each mode.

    tests/bench/run versions [--runs N] [--scale S] [--into FOLDER] [--readme]

Every way begins with an empty target and an empty machine. The first version is copied, then the
second, of which two small layers differ. Prints the table, and writes versions.md into FOLDER,
which is this one otherwise; with --readme also into the README.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.images import TYPICAL, TYPICAL_NEXT, BenchImage, put
from tests.bench.measure import Run, measure, middle
from tests.bench.readme import write_table
from tests.bench.results import PEER
from tests.bench.tools import (
    KEPT,
    Route,
    forget_blobs,
    skopeo_copy,
    squashproxy_copy,
    start_seconds,
)
from tests.real.real_image import cache_folder
from tests.real.registries import RealRegistry, run_registry

HERE = Path(__file__).parent
_MEMORY = "{memory}"
_REPOSITORY = "{repository}"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to copy both versions: skopeo's, or squashproxy's with these options.

    `_MEMORY` stands for a folder that both runs share, `_REPOSITORY` for a repository of the
    target; each run has a home of its own, so that nothing else is remembered.
    """

    name: str
    options: Sequence[str] | None = None

    def command(self, route: Route, memory: Path) -> Sequence[str]:
        """The command that copies one version."""
        if self.options is None:
            return skopeo_copy(route)
        places = {_MEMORY: str(memory), _REPOSITORY: f"{route.target}/memory"}
        return squashproxy_copy(route, [places.get(option, option) for option in self.options])


_BASE = ("--base", str(KEPT))
WAYS = (
    Way(PEER),
    Way("copy", ("--mode", "copy")),
    Way("squash", _BASE),
    Way("prune, memory in a folder", (*_BASE, "--mode", "prune", "--layer-memory", _MEMORY)),
    Way(
        "prune, memory in the registry",
        (*_BASE, "--mode", "prune", "--layer-memory", _REPOSITORY),
    ),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """The medians of one way, for each version."""

    way: str
    first: Run
    second: Run


def measure_way(way: Way, source: RealRegistry, target: RealRegistry, runs: int) -> Figures:
    """Copy both versions, several times."""
    firsts, seconds = [], []
    for _ in range(runs):
        shutil.rmtree(target.storage, ignore_errors=True)
        forget_blobs()
        with tempfile.TemporaryDirectory() as folder:
            first, second = (
                _once(way, image, source, target, Path(folder)) for image in (TYPICAL, TYPICAL_NEXT)
            )
        firsts.append(first)
        seconds.append(second)
        sys.stderr.write(f"{way.name}: {first.wall:.2f} s, {second.wall:.2f} s\n")
    return Figures(way.name, middle(firsts), middle(seconds))


def _once(
    way: Way, image: BenchImage, source: RealRegistry, target: RealRegistry, folder: Path
) -> Run:
    os.sync()
    route = Route(source.host, target.host, image.name)
    return measure(way.command(route, folder / "memory"), source.log)


def to_markdown(found: Sequence[Figures], start: float) -> str:
    """The table; ratios are to skopeo's figures."""
    peer = found[0]
    times = f"times {PEER}"
    lines = [
        f"| way | first, s | {times} | up MB | next, s | {times} | up MB | of copy | down MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {each.way} | {each.first.wall:.2f} | {each.first.wall / peer.first.wall:.2f} "
        f"| {each.first.up / 1e6:,.0f} | {each.second.wall:.2f} "
        f"| {each.second.wall / peer.second.wall:.2f} | {each.second.up / 1e6:,.2f} "
        f"| {each.second.up / peer.second.up:.2f} | {each.second.down / 1e6:,.2f} |"
        for each in found
    ]
    lines += ["", f"Starting squashproxy takes {start:.2f} s of each run (`copy --help`)."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    cache = cache_folder() / "bench"
    with (
        run_registry(cache / f"source-{arguments.scale:g}", logs_access=True) as source,
        run_registry(cache / "target") as target,
    ):
        for image in (TYPICAL, TYPICAL_NEXT):
            put(image, source.host, arguments.scale)
        found = [measure_way(way, source, target, arguments.runs) for way in WAYS]
    table = to_markdown(found, start_seconds("copy", "--help"))
    (arguments.into / "versions.md").write_text(table)
    if arguments.readme:
        write_table("versions", f"\n{table}\n")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
