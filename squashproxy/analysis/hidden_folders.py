"""Hidden bytes by folder."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from squashproxy.analysis.hidden_files import as_text
from squashproxy.archive.path import parent_of
from squashproxy.pipeline.results import HiddenFolder
from squashproxy.squash.layer import HiddenEntry

LISTED = 200
"""How many folders are listed."""

_REMEMBERED = 50_000
"""How many folders are counted separately while reading. Beyond that, the deepest are counted with
their parents.
"""
_DEEPEST = 64
"""Folders are counted separately down to this depth; what lies deeper counts as theirs."""


@dataclass(slots=True)
class _Sum:
    size: int = 0
    files: int = 0

    def add(self, other: _Sum) -> None:
        self.size += other.size
        self.files += other.files


@dataclass(slots=True)
class HiddenFolders:
    """Adds up hidden content by folder, in bounded memory.

    Folders deeper than `depth` are counted under their ancestor at that depth. The depth shrinks
    for all folders at once, so a file that is revived is subtracted from where it was added.
    """

    remembered: int = _REMEMBERED
    depth: int = _DEEPEST
    _sums: dict[bytes, _Sum] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything: the merge begins again."""
        self._sums.clear()
        self.depth = _DEEPEST

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides the entry, which is not empty."""
        self._sum_of(parent_of(entry.path)).add(_Sum(entry.size, 1))
        if len(self._sums) > self.remembered:
            self._fold()

    def revived(self, path: bytes, size: int) -> None:
        """The content of a hidden entry is kept after all, as that of a hard link."""
        self._sum_of(parent_of(path)).add(_Sum(-size, -1))

    @property
    def listed(self) -> tuple[HiddenFolder, ...]:
        """At most `LISTED` folders, largest first; they add up to everything that is hidden."""
        sums = {
            path: _Sum(kept.size, kept.files) for path, kept in self._sums.items() if kept.files
        }
        _roll_up(sums)
        ordered = sorted(sums.items(), key=lambda item: (-item[1].size, item[0]))
        return tuple(
            HiddenFolder(as_text(path) or "/", kept.size, kept.files) for path, kept in ordered
        )

    def _sum_of(self, folder: bytes) -> _Sum:
        folder = _cut(folder, self.depth)
        found = self._sums.get(folder)
        if found is None:
            found = self._sums[folder] = _Sum()
        return found

    def _fold(self) -> None:
        """Count the deepest folders with their parents until half of the room is free."""
        while len(self._sums) > self.remembered // 2:
            self.depth = max(map(_depth_of, self._sums)) - 1
            before, self._sums = self._sums, {}
            for folder, kept in before.items():
                self._sum_of(folder).add(kept)


def _roll_up(sums: dict[bytes, _Sum]) -> None:
    """Count the smallest folder with its parent, until no more than `LISTED` are left.

    A folder is counted with its parent only when no folder below it is listed any more. Otherwise
    the first small folder would pull its parents with it, up to the root.
    """
    below = Counter(above for path in sums for above in _iter_above(path))
    heap = [(kept.size, path) for path, kept in sums.items() if path and not below[path]]
    heapq.heapify(heap)
    while len(sums) > LISTED:
        _, path = heapq.heappop(heap)
        parent = parent_of(path)
        below.subtract(_iter_above(path))
        if parent not in sums:
            sums[parent] = _Sum()
            below.update(_iter_above(parent))
        sums[parent].add(sums.pop(path))
        if parent and not below[parent]:
            heapq.heappush(heap, (sums[parent].size, parent))


def _iter_above(folder: bytes) -> Iterator[bytes]:
    while folder:
        folder = parent_of(folder)
        yield folder


def _depth_of(folder: bytes) -> int:
    return folder.count(b"/") + 1 if folder else 0


def _cut(folder: bytes, depth: int) -> bytes:
    if folder.count(b"/") < depth:
        return folder
    return b"/".join(folder.split(b"/", depth)[:depth])
