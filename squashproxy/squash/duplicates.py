"""Paths that stand twice in one layer: the last entry counts, as it does for unpackers."""

from __future__ import annotations

from typing import Self

from squashproxy.archive.header import DIRECTORY, SYMLINK
from squashproxy.archive.path import BadEntry
from squashproxy.squash.layer import MergeOptions, ScannedLayer
from squashproxy.squash.limits import check_limits
from squashproxy.squash.listing import Entry
from squashproxy.squash.path_tree import BYTES_PER_NODE, PathNode, parts_of
from squashproxy.squash.symlinks import SymlinkMap
from squashproxy.squash.walk import iter_noted

_BYTES_PER_NAME = 200


def find_superseded(
    layer: ScannedLayer, options: MergeOptions, *, taken: int = 0
) -> frozenset[int]:
    """The ordinals of the entries that a later entry of the same layer replaces.

    An entry that is not a directory also replaces the earlier entries below its path. Paths are
    where entries land, behind the symlinks that the layer has at that moment. Raises LimitExceeded
    where that takes more memory than `options` allow beside the bytes `taken`.
    """
    seen = _Seen()
    for _ in iter_noted(layer, seen.note):
        check_limits(layer.where, options, memory=taken + seen.memory + seen.symlinks.memory)
    return frozenset(seen.superseded)


class _Directory(PathNode):
    """A directory with entries; `latest` are the ordinals of the last ones, by name."""

    __slots__ = ("latest",)

    def __init__(self, above: Self | None = None, name: bytes = b"") -> None:
        super().__init__(above, name)
        self.latest: dict[bytes, int] = {}


class _Seen:
    def __init__(self) -> None:
        self._root = _Directory()
        self.symlinks = SymlinkMap()
        self.superseded: set[int] = set()
        self.memory = 0
        """An estimate, in bytes, of the memory that this takes, names included."""

    def note(self, entry: Entry) -> None:
        """Note an entry; they come in the layer's order."""
        parent, _, name = self._landing(entry).rpartition(b"/")
        at = self._root
        for part in parts_of(parent):
            below = at.below.get(part)
            if below is None:
                below = at.add(part)
                self.memory += BYTES_PER_NODE + len(part)
            at = below
        earlier = at.latest.get(name)
        if earlier is not None:
            self.superseded.add(earlier)
        if entry.kind != DIRECTORY:
            self._replace_below(at, name)
        at.latest[name] = entry.ordinal
        self.memory += _BYTES_PER_NAME + len(name)

    def _landing(self, entry: Entry) -> bytes:
        try:
            path = self.symlinks.resolve(entry.path)
        except BadEntry:  # the merge refuses it, and says so
            return entry.path
        self.symlinks.forget(path)
        if entry.kind == SYMLINK:
            self.symlinks.note(path, entry.link)
        return path

    def _replace_below(self, at: _Directory, name: bytes) -> None:
        replaced = at.below.pop(name, None)
        if replaced is not None:
            for each in replaced.iter_tree():
                self.superseded.update(each.latest.values())
