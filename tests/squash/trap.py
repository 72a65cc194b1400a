"""Trap: layers that squashing tools get wrong, and what must come of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from squashproxy.codec.compression import iter_decompressed
from squashproxy.codec.library import find_library
from squashproxy.span import Kept, Span
from squashproxy.squash.layer import Layer, MergeOptions, MergeReport
from squashproxy.squash.merge import Merge
from squashproxy.squash.restart import merge_with_restarts
from squashproxy.testing import LayerBuilder, Packing, pack
from tests.model.inode import Inode, tree_of
from tests.model.node import Kind, Node
from tests.model.squashing import MemoryLayer, MemoryStream
from tests.model.untar import Names, apply_layer
from tests.squash.nodes import Literal, as_tree

CHUNK = 65536


class Seen(Enum):
    """Which real unpackers make the trap's tree of the layers before they are squashed.

    Squashed, every trap looks the same to all of them; research says where they differ before.
    """

    BOTH = "umoci and overlay"
    UMOCI = "umoci only"
    OVERLAY = "overlay only"
    NEITHER = "neither, or they refuse the image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """One named case; `layers` are tars, base first. Lists of names are written with spaces.

    Every number of layers is kept as base in turn, or those that `kept` names, where the tests'
    strict unpacker cannot read the others. What is given by number of kept layers defaults to:
    `trees` the tree, `entries` anything, `fallbacks` and `warnings` none.
    """

    layers: Sequence[LayerBuilder]
    tree: Literal
    trees: Mapping[int, Literal] = field(default_factory=dict)
    """The tree where a kept base breaks a link group that spans it."""
    kept: Sequence[int] = ()
    entries: Mapping[int, str] = field(default_factory=dict)
    """The names in the result, in their order."""
    written: str = ""
    """Entries with headers of our own, for some number of kept layers; not counting whiteouts."""
    fallbacks: Mapping[int, int] = field(default_factory=dict)
    warnings: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Words of each warning, in their order."""
    bare: str = ""
    """Directories that no entry describes: an unpacker makes them by itself."""
    seen_by: Seen = Seen.BOTH
    shows: bool = True
    """Whether real unpackers can show it at all, squashed or not."""
    alone: bool = False
    """Whether it only works at the image's root, with no other trap beside it."""

    @property
    def tars(self) -> list[bytes]:
        """The layers as they are pushed."""
        return [layer.tar() for layer in self.layers]

    def iter_kept(self) -> Iterator[int]:
        """The numbers of layers to keep."""
        yield from self.kept or range(len(self.layers))

    def expected(self, kept: int) -> dict[bytes, Node]:
        """What the image looks like, before and after."""
        return as_tree(self.trees.get(kept, self.tree))

    def base(self, kept: int) -> Names:
        """What the kept layers look like by themselves."""
        names: Names = {name.encode(): Inode(Kind.DIRECTORY, 0o755) for name in self.bare.split()}
        for tar in self.tars[:kept]:
            names = apply_layer(names, tar)
        return names

    def found(self, kept: int, merged: bytes) -> dict[bytes, Node]:
        """What the kept layers look like under the merged one."""
        return tree_of(apply_layer(self.base(kept), merged))


class PackedLayer:
    """A layer as its blob, unpacked when it is read."""

    def __init__(self, tar: bytes, packing: Packing) -> None:
        self.where = f"a layer packed with {packing.value}"
        self._blob = pack(tar, packing)

    def open(self) -> MemoryStream:
        """The tar from its start."""
        return MemoryStream(iter_decompressed((self._blob,), self.where, find_library()))


@dataclass(frozen=True, slots=True)
class Squashed:
    """A merge that is done: its spans joined, the spans, what it told."""

    tar: bytes
    spans: tuple[Span, ...]
    report: MergeReport

    @property
    def entries(self) -> list[str]:
        """The names in the tar, a directory's with its slash."""
        return [
            member.name + "/" if member.isdir() else member.name for member in _members(self.tar)
        ]

    def written(self) -> set[str]:
        """The entries whose headers stand in no layer, whiteouts left out."""
        ends = 0
        new = bytearray()
        for span in self.spans:
            new += bytes([not isinstance(span, Kept)]) * len(span.data)
            ends += len(span.data)
        assert ends == len(self.tar)
        return {
            normalised(member.name)
            for member in _members(self.tar)
            if any(new[member.offset : member.offset_data]) and "/.wh." not in "/" + member.name
        }


def squash(
    tars: Sequence[bytes], options: MergeOptions | None = None, chunk: int = CHUNK
) -> Squashed:
    """Merge the layers, base first, in chunks of `chunk` bytes; raises what the merge raises."""
    layers = [MemoryLayer(f"layer {n}", tar, chunk) for n, tar in enumerate(tars)]
    return squash_layers(layers, options or MergeOptions())


def squash_layers(layers: Sequence[Layer], options: MergeOptions) -> Squashed:
    """The same for layers that can be anywhere."""
    return merge_with_restarts(layers, options, _run)


def _run(merge: Merge) -> Squashed:
    spans = tuple(merge.iter_spans())
    return Squashed(b"".join(bytes(span.data) for span in spans), spans, merge.report)


def normalised(name: str) -> str:
    """The one form of a name, by which the tables call it."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _members(tar: bytes) -> list[tarfile.TarInfo]:
    if not tar:
        return []
    with tarfile.open(
        fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        return archive.getmembers()
