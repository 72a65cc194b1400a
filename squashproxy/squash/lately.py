"""Hidden files that went by lately: links that follow soon take them over without another reading.

Links mostly stand close behind their file, as `git` and its many names do in one folder.
"""

from __future__ import annotations

from collections import deque

from squashproxy.archive.scanner import Aside

MOST = 4096
"""So many files are remembered, whatever their size."""


class Lately:
    """The hidden files of one layer that lie within the last `window` bytes of its tar."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._files: deque[Aside] = deque()
        self._by_ordinal: dict[int, Aside] = {}

    def add(self, file: Aside) -> None:
        """Remember a file, and forget those that are too far behind by now."""
        self._files.append(file)
        self._by_ordinal[file.ordinal] = file
        end = file.offset + file.span_size
        while len(self._files) > MOST or end - self._files[0].offset > self._window:
            del self._by_ordinal[self._files.popleft().ordinal]

    def try_find(self, ordinal: int, offset: int) -> Aside | None:
        """Entry `ordinal`, where the one at `offset` can still take it over.

        That depends on nothing but the layer's tar, so the result does not either.
        """
        file = self._by_ordinal.get(ordinal)
        return None if file is None or offset - file.offset > self._window else file
