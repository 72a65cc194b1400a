"""Paths that stand twice in one layer: the last entry counts, as it does for unpackers."""

from __future__ import annotations

from squashproxy.archive.header import DIRECTORY, SYMLINK
from squashproxy.archive.path import BadEntry, parent_of
from squashproxy.squash.layer import ScannedLayer
from squashproxy.squash.listing import Entry
from squashproxy.squash.symlinks import SymlinkMap
from squashproxy.squash.walk import walk


def find_superseded(layer: ScannedLayer) -> frozenset[int]:
    """The ordinals of the entries that a later entry of the same layer replaces.

    An entry that is not a directory also replaces the earlier entries below its path. Paths are
    where entries land, behind the symlinks that the layer has at that moment.
    """
    seen = _Seen()
    walk(layer, seen.note)
    return frozenset(seen.superseded)


class _Seen:
    def __init__(self) -> None:
        self._latest: dict[bytes, int] = {}
        self._parents: set[bytes] = set()
        self._symlinks = SymlinkMap()
        self.superseded: set[int] = set()

    def note(self, entry: Entry) -> None:
        """Note an entry; they come in the layer's order."""
        path = self._landing(entry)
        earlier = self._latest.get(path)
        if earlier is not None:
            self.superseded.add(earlier)
        if entry.kind != DIRECTORY and path in self._parents:
            self._replace_below(path + b"/")
        self._latest[path] = entry.ordinal
        parent = parent_of(path)
        while parent and parent not in self._parents:
            self._parents.add(parent)
            parent = parent_of(parent)

    def _landing(self, entry: Entry) -> bytes:
        try:
            path = self._symlinks.resolve(entry.path)
        except BadEntry:  # the merge refuses it, and says so
            return entry.path
        self._symlinks.forget(path)
        if entry.kind == SYMLINK:
            self._symlinks.note(path, entry.link)
        return path

    def _replace_below(self, prefix: bytes) -> None:
        below = [path for path in self._latest if path.startswith(prefix)]
        self.superseded.update(self._latest.pop(path) for path in below)
        self._parents -= {path for path in self._parents if path.startswith(prefix)}
