"""The traps of tests/squash, unpacked by real unpackers, before and after they are squashed.

Many traps stand side by side in one image, each in a directory of its own.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest

from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import MTIME, Header, LayerBuilder
from tests.model.node import Kind, Node, Tree, ancestors, compare_trees
from tests.real.command import copy, layer_digests
from tests.real.judges import Judges, push_layout
from tests.real.layout import LayoutWriter
from tests.real.registries import RealRegistry
from tests.squash.nodes import directory
from tests.squash.trap import Seen, Trap, normalised, squash
from tests.squash.traps.tables import TABLES

pytestmark = pytest.mark.real
XATTR = "SCHILY.xattr."
Placed = tuple[bytes, str, Trap]
"""The directory in which a trap stands in the images, the trap's name, the trap."""


def _placed() -> Iterator[Placed]:
    """Every trap; left out are sparse files and the like, which have tests of their own."""
    number = 0
    for table, traps in TABLES.items():
        for name, trap in traps.items():
            number += 1
            if trap.shows:
                yield b"%03d" % number, f"{table}: {name}", trap


PLACED = list(_placed())


@pytest.fixture
def push(tmp_path: Path, source_registry: RealRegistry) -> Callable[[str, Sequence[Placed]], None]:
    """Push an image with traps to the source registry."""

    def push_traps(name: str, placed: Sequence[Placed]) -> None:
        layout = LayoutWriter(tmp_path / "layout")
        stacks = zip_longest(*(_moved(place, trap) for place, _, trap in placed), fillvalue=b"")
        layers = [layout.add_layer(b"".join(parts) + bytes(1024)) for parts in stacks]
        layout.add_image("image", layers)
        push_layout(layout.folder, "image", source_registry, name)

    return push_traps


def _moved(place: bytes, trap: Trap) -> list[bytes]:
    """The trap's layers with every path moved into the directory `place`; no ends of archives."""
    return [_moved_layer(place, tar) for tar in trap.tars]


def _moved_layer(place: bytes, tar: bytes) -> bytes:
    moved = LayerBuilder()
    with tarfile.open(
        fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        members = archive.getmembers()
        if not any(normalised(member.name) == "" for member in members):
            moved.directory(place)
        for member in members:
            content = archive.extractfile(member) if member.isreg() else None
            moved.entry(_header(place, member), content.read() if content else b"")
    return moved.tar(end_blocks=0)


def _header(place: bytes, member: tarfile.TarInfo) -> Header:
    name = place + b"/" + _raw(member.name) + (b"/" if member.isdir() else b"")
    link = _raw(member.linkname)
    return Header(
        name,
        member.type,
        place + b"/" + link if member.islnk() else link,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        size=member.size,
        mtime=member.mtime,
        device=(member.devmajor, member.devminor),
        xattrs={
            key.removeprefix(XATTR): _raw(value)
            for key, value in member.pax_headers.items()
            if key.startswith(XATTR)
        },
    )


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cut(tree: Tree, place: bytes) -> dict[bytes, Node]:
    """What stands in the directory `place`, and the directory itself as the root."""
    below = place + b"/"
    return {
        path.removeprefix(place).removeprefix(b"/"): replace(
            node, links=tuple(link.removeprefix(below) for link in node.links)
        )
        for path, node in tree.items()
        if path == place or path.startswith(below)
    }


def _differences(
    trap: Trap, kept: int, tree: Tree, implied: frozenset[bytes] = frozenset()
) -> list[str]:
    """Where `tree` is not what the trap must give.

    The time of a directory that no entry describes is the unpacker's, and so are, on overlay file
    systems, all its metadata where a layer has entries below it and none for it (`implied`).
    """
    expected = {b"": directory(mtime=MTIME), **trap.expected(kept)}

    def skip(path: bytes, field: str) -> bool:
        if field == "mtime" and path in expected and not expected[path].mtime:
            return True
        return path in implied and field in ("mode", "uid", "gid", "mtime", "xattrs")

    return compare_trees(expected, tree, skip)


def _implied(trap: Trap, kept: int) -> frozenset[bytes]:
    entries = squash(trap.tars, MergeOptions(kept=kept)).entries
    names = {_raw(normalised(name)) for name in entries}
    return frozenset(above for name in names for above in ancestors(name) if above not in names)


SEERS = {Seen.BOTH: ("umoci", "overlay"), Seen.UMOCI: ("umoci",), Seen.OVERLAY: ("overlay",)}


@pytest.mark.parametrize("seen", SEERS, ids=lambda seen: seen.name)
def test_real_unpackers_make_the_tree_of_each_trap_of_its_layers_as_they_are(
    seen: Seen,
    push: Callable[[str, Sequence[Placed]], None],
    source_registry: RealRegistry,
    judges: Judges,
) -> None:
    placed = [entry for entry in PLACED if entry[2].seen_by is seen]
    image = f"traps/source:{seen.name.lower()}"
    push(image, placed)
    views = {"umoci": judges.umoci_tree, "overlay": judges.overlay_tree}
    problems = []
    for judge in SEERS[seen]:
        tree = views[judge](source_registry, image)
        shown = {path: node for path, node in tree.items() if node.kind is not Kind.PHANTOM}
        for place, name, trap in placed:
            for line in _differences(trap, 0, _cut(shown, place)):
                problems.append(f"{judge}, {name}: {line}")
    assert problems == [], "\n".join(problems)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_squashed_each_trap_looks_the_same_to_all(  # noqa: PLR0917 - fixtures, all by name
    kept: int,
    push: Callable[[str, Sequence[Placed]], None],
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    judges: Judges,
    tmp_path: Path,
) -> None:
    placed = [
        entry for entry in PLACED if kept in entry[2].iter_kept() and not entry[2].bug
    ]
    image = f"traps/squashed:{kept}"
    push(image, placed)
    base = str(kept) if kept else "none"
    document = copy(source_registry, target_registry, image, "--base", base, home=tmp_path)
    assert len(layer_digests(target_registry, image)) == kept + 1
    assert document["warnings"]
    problems = []
    for judge, tree in judges.trees(target_registry, image).items():
        for place, name, trap in placed:
            implied = _implied(trap, kept) if judge == "overlay" else frozenset[bytes]()
            for line in _differences(trap, kept, _cut(tree, place), implied):
                problems.append(f"{judge}, {name}: {line}")
    assert problems == [], "\n".join(problems)
