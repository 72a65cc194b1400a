"""Hidden files that went by lately: links that follow soon take them over without another reading.

Links mostly stand not far behind their file, as `git` and its many names do in one folder.
"""

from __future__ import annotations

from collections import deque

from squashproxy.archive.detached_entry import DetachedEntry

CELL = 256 << 10
"""A tar arrives in chunks of about so many bytes; one byte of a hidden file keeps a whole one."""

MOST = 4096
"""So many files are remembered, whatever their size."""


class RecentHidden:
    """The last hidden files of one layer, in at most `room` bytes.

    Which files these are depends on the layer's tar alone, so the result does not depend on how it
    arrives: cells of the tar are counted for the chunks that files keep in memory.
    """

    def __init__(self, room: int) -> None:
        self._cells = room // CELL
        self._files: deque[tuple[DetachedEntry, int]] = deque()
        self._by_ordinal: dict[int, DetachedEntry] = {}
        self._last_cell = -1
        self._used = 0

    def has_room_for(self, offset: int, size: int) -> bool:
        """Whether an entry of `size` bytes at `offset` of the tar can be remembered at all."""
        return (offset + size - 1) // CELL - offset // CELL < self._cells

    def add(self, file: DetachedEntry) -> None:
        """Remember a file, and forget the oldest ones, for whose chunks there is no room then."""
        first, last = file.offset // CELL, (file.offset + file.span_size - 1) // CELL
        is_shared = first == self._last_cell
        self._files.append((file, self._used - is_shared))
        self._used += last - first + 1 - is_shared
        self._last_cell = last
        self._by_ordinal[file.ordinal] = file
        while len(self._files) > MOST or self._used - self._files[0][1] > self._cells:
            forgotten, _ = self._files.popleft()
            del self._by_ordinal[forgotten.ordinal]

    def try_find(self, ordinal: int) -> DetachedEntry | None:
        """Entry `ordinal`, if it is remembered."""
        return self._by_ordinal.get(ordinal)
