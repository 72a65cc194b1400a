"""RecentHidden: the last hidden files of a layer, for links that follow soon after them.

Most links stand close to their file, like the many names of `git` in one folder. Such a link takes
its file from here, and the layer need not be read again.
"""

from __future__ import annotations

from collections import deque

from squashproxy.archive.detached_entry import DetachedEntry

CELL = 256 << 10
"""Memory is counted in cells of this many bytes: about one chunk, which a single byte keeps alive.

Not streams.CHUNK, though it has the same value: this number decides which files are remembered, and
so it shapes the result.
"""

MOST = 4096
"""At most this many files are remembered, whatever their size."""


class RecentHidden:
    """The last hidden files of one layer, in at most `room` bytes.

    Which files these are depends only on the layer's tar, not on the chunks in which it arrives:
    what is counted are cells of the tar, not the chunks that the files keep in memory.
    """

    def __init__(self, room: int) -> None:
        self._cells = room // CELL
        self._files: deque[tuple[DetachedEntry, int]] = deque()
        self._by_ordinal: dict[int, DetachedEntry] = {}
        self._last_cell = -1
        self._used = 0

    def has_room_for(self, offset: int, size: int) -> bool:
        """Whether an entry of `size` bytes at `offset` of the tar fits at all."""
        return (offset + size - 1) // CELL - offset // CELL < self._cells

    def add(self, file: DetachedEntry) -> None:
        """Remember a file; the oldest ones go until it fits."""
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
        """Entry `ordinal`; None if it is not remembered."""
        return self._by_ordinal.get(ordinal)
