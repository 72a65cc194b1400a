"""Bytes of a fleet: ten versions of five applications on two bases, promoted in each mode.

    tests/bench/run fleet [--scale S] [--into FOLDER] [--readme]

Counts what the target holds, and what a node pulls that follows all versions: bytes of distinct
layers, so the figures are the same on every machine. Prints the table, and writes fleet.md and
fleet.svg into FOLDER, which is this one otherwise; with --readme also into the README.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib.figure import Figure

from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from squashproxy.location import Location
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, parse_manifest
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.progress import SilentObserver
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, ImageBuilder
from squashproxy.transports.registry import RegistrySink, RegistrySource
from tests.bench.content import MIB, Pool, iter_file, iter_tar, iter_whiteout
from tests.bench.readme import write_table

HERE = Path(__file__).parent
_BASES = ("debian", "python")
_APPLICATIONS = 5
_VERSIONS = 10
_NEW_DEPENDENCIES = 5
"""Every so many versions, an application gets new dependencies, not only new code."""

Layer = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to promote the fleet."""

    name: str
    options: CopyOptions
    bases: Mode = Mode.COPY
    """How the bases are promoted."""


@dataclass(slots=True)
class Fleet:
    """The images, made from a pool of bytes; `scale` shrinks every file."""

    scale: float
    _pool: Pool = field(default_factory=Pool)

    def base(self, name: str) -> list[Layer]:
        """Two layers of an operating system, and on `python` two of a runtime and its clean-up."""
        layers = [
            self._files("usr/lib", 1, 40),
            iter_tar([*self._iter_files("etc", 100, 2), *self._iter_gone("usr/lib", 1, 2)]),
        ]
        if name == "python":
            runtime = [*self._iter_files("opt", 200, 30), *self._iter_files("cache", 300, 6)]
            layers += [iter_tar(runtime), iter_tar(self._iter_gone("cache", 300, 6))]
        return layers

    def application(self, number: int, version: int) -> list[Layer]:
        """An application's own layers: tools, dependencies, code, and a build that cleans up."""
        seed = 1000 * (number + 1)
        packages = seed + 100 + version // _NEW_DEPENDENCIES * 50
        code = seed + 300 + 10 * version
        return [
            iter_tar(
                [*self._iter_files("tools", seed, 10), *self._iter_files("apt", seed + 50, 3)]
            ),
            iter_tar(
                [*self._iter_files("deps", packages, 20), *self._iter_files("pip", packages, 5)]
            ),
            self._files("code", code, 2),
            iter_tar(
                [
                    *self._iter_gone("apt", seed + 50, 3),
                    *self._iter_gone("pip", packages, 5),
                    *self._iter_gone("tools", seed, 4),
                    *self._iter_files("built", code, 1),
                ]
            ),
        ]

    def _files(self, folder: str, first: int, count: int) -> Layer:
        return iter_tar(self._iter_files(folder, first, count))

    def _iter_files(self, folder: str, first: int, count: int) -> Iterator[Layer]:
        size = max(1, round(MIB * self.scale))
        for number in range(first, first + count):
            yield iter_file(f"{folder}/{number}", self._pool.iter_content(number, size), size)

    @staticmethod
    def _iter_gone(folder: str, first: int, count: int) -> Iterator[Layer]:
        return (iter_whiteout(f"{folder}/{number}") for number in range(first, first + count))


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a way costs: the target's distinct layers, and a node's pulls."""

    way: str
    held: int
    pulled: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Promotion:
    """One way to promote the fleet from one registry to another."""

    source: FakeRegistry
    target: FakeRegistry
    client: RegistryClient
    way: Way

    def run(self) -> Bytes:
        """Promote bases and versions in their order, and count."""
        begun = time.perf_counter()
        held: dict[str, int] = {}
        pulled: dict[str, int] = {}
        base_repos = tuple(Repository(self.target.host, f"base/{name}") for name in _BASES)
        for name in _BASES:
            options = replace(self.way.options, mode=self.way.bases)
            for layer in self._copy(f"base/{name}", "1", options):
                held[layer.digest] = layer.size
        options = replace(self.way.options, base_repos=base_repos)
        for version in range(_VERSIONS):
            for number in range(_APPLICATIONS):
                for layer in self._copy(f"app{number}", str(version), options):
                    held[layer.digest] = pulled[layer.digest] = layer.size
        seconds = time.perf_counter() - begun
        return Bytes(self.way.name, sum(held.values()), sum(pulled.values()), seconds)

    def _copy(self, path: str, tag: str, options: CopyOptions) -> Sequence[Descriptor]:
        source = Reference(Repository(self.source.host, path), tag)
        target = Reference(Repository(self.target.host, path), tag)
        sink = RegistrySink(self.client, target)
        result = copy_image(
            RegistrySource(self.client, source),
            sink,
            options,
            open_source=self._open,
            observer=SilentObserver(),
            clock=time.monotonic,
        )
        manifest = parse_manifest(self.target.manifest(path, result.digest), str(target))
        assert isinstance(manifest, ImageManifest), "the fleet has no indexes"
        return manifest.layers

    def _open(self, location: Location) -> RegistrySource:
        assert isinstance(location, Reference), "the bases are in a registry"
        return RegistrySource(self.client, location)


def fill(registry: FakeRegistry, fleet: Fleet) -> None:
    """Push the bases, and every version of every application."""
    for name in _BASES:
        _builder(fleet.base(name)).build().push(registry, f"base/{name}", "1")
    for number in range(_APPLICATIONS):
        for version in range(_VERSIONS):
            base = fleet.base(_BASES[number % 2])
            layers = [*base, *fleet.application(number, version)]
            _builder(layers).build().push(registry, f"app{number}", str(version))


def _builder(layers: Sequence[Layer]) -> ImageBuilder:
    builder = ImageBuilder()
    for layer in layers:
        builder.layer(b"".join(layer))
    return builder


def _tell(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def measure(scale: float) -> list[Bytes]:
    """The bytes of each way; the plain copy comes first."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeRegistry() as source,
        RegistryClient(environ={}) as client,
    ):
        memory = RememberedLayers(Folder(Path(folder), _tell), ENGINE)
        fill(source, Fleet(scale))
        ways = [
            Way("copy", CopyOptions(mode=Mode.COPY)),
            Way("prune", CopyOptions(mode=Mode.PRUNE, memory=memory)),
            Way("squash", CopyOptions()),
            Way("squash on squashed bases", CopyOptions(), bases=Mode.SQUASH),
        ]
        found = []
        for way in ways:
            with FakeRegistry() as target:
                found.append(Promotion(source, target, client, way).run())
        return found


def to_markdown(found: Sequence[Bytes]) -> str:
    """The table; shares are of the plain copy."""
    plain = found[0]
    lines = [
        "| mode | in the target, MB | of copy | a node pulls, MB | of copy |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {each.way} | {each.held / 1e6:,.1f} | {each.held / plain.held:.2f} "
        f"| {each.pulled / 1e6:,.1f} | {each.pulled / plain.pulled:.2f} |"
        for each in found
    ]
    return "\n".join(lines) + "\n"


def draw(found: Sequence[Bytes], file: Path) -> None:
    """Write the chart as SVG."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    for offset, (label, colour, sizes) in enumerate(
        (
            ("in the target", "#1b6ca8", [each.held / 1e6 for each in found]),
            ("pulled by a node", "#e07b39", [each.pulled / 1e6 for each in found]),
        )
    ):
        places = [number + 0.36 * offset - 0.18 for number in range(len(found))]
        bars = axes.barh(places, sizes, 0.34, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
    axes.set_yticks(range(len(found)), [each.way for each in found])
    axes.invert_yaxis()
    axes.set_xlabel("MB of distinct layers: ten versions of five applications on two bases")
    axes.margins(x=0.1)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=0.2, help="of a MiB, each file; default 0.2")
    parser.add_argument("--into", type=Path, default=HERE)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.scale)
    table = to_markdown(found)
    (arguments.into / "fleet.md").write_text(table)
    draw(found, arguments.into / "fleet.svg")
    if arguments.readme:
        write_table("fleet", f"\n{table}\n")
    sys.stdout.write(table)
    sys.stdout.writelines(f"{each.way}: {each.seconds:.1f} s\n" for each in found)


if __name__ == "__main__":
    main()
