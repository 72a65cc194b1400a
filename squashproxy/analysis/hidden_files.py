"""The largest files that an upper layer hides and the image still contains."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from squashproxy.pipeline.results import HiddenFile
from squashproxy.squash.layer import HiddenEntry

LARGEST = 20
"""How many files are listed."""

_CANDIDATES = 8 * LARGEST
"""How many files are remembered during the reading, since links may revive some of them."""


def as_text(path: bytes) -> str:
    """A path of an image as results show it: bytes that are not UTF-8 become backslash escapes."""
    return path.decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class LargestHidden:
    """The largest hidden entries. Ties are ordered by path, so that the list is deterministic."""

    _heap: list[tuple[int, bytes, int, int]] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything: the merge begins again."""
        self._heap.clear()

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides the entry, which is not empty."""
        item = (entry.size, entry.path, entry.layer, entry.hidden_by)
        if len(self._heap) < _CANDIDATES:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def revived(self, path: bytes, layer: int) -> None:
        """The content of a hidden entry is kept after all, as that of a hard link."""
        left = [item for item in self._heap if (item[1], item[2]) != (path, layer)]
        if len(left) < len(self._heap):
            heapq.heapify(left)
            self._heap[:] = left

    @property
    def files(self) -> tuple[HiddenFile, ...]:
        """The files, largest first."""
        found = [
            HiddenFile(as_text(path), size, layer, by)
            for size, path, layer, by in sorted(self._heap, reverse=True)
        ]
        return tuple(found[:LARGEST])
