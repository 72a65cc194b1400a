"""The compressed code of one stream, from the oldest block that may still be copied."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from squashproxy.span import Chain, Inflated, Start

_MOST = 6 << 20
"""The most bytes of code to keep, somewhat more than the largest block that is copied."""


class CodeBuffer:
    """Holds the code of chunks that are added in order, and drops code that is not needed again."""

    def __init__(self) -> None:
        self.chains: deque[Chain] = deque()
        """Chains whose end is known, in order; the reader takes them off."""
        self._begun: Start | None = None
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._latest: Inflated | None = None

    def add(self, sources: Sequence[Inflated]) -> None:
        """Take the code and chains of chunks, unless they were added before."""
        for source in sources:
            if source is self._latest:
                continue
            self._latest = source
            known = self._pieces[-1][0] if self._pieces else -1
            for piece in source.code:
                if piece[0] > known:
                    self._pieces.append(piece)
                    self._size += len(piece[1])
            self.chains += source.chains
            self._begun = source.begun

    @property
    def under_way(self) -> Start | None:
        """The start of the open chain, whose end may be unknown yet; None for a single block."""
        if not self.chains:
            return self._begun
        return None if self.chains[0].is_block else self.chains[0].start

    @property
    def is_full(self) -> bool:
        """Whether the oldest code is dropped next, needed or not.

        The newest piece does not count: most of it may lie behind the open block.
        """
        oldest, newest = self._pieces[0][1], self._pieces[-1][1]
        return self._size - len(oldest) - len(newest) > _MOST

    def forget(self, bit: int) -> None:
        """Drop the code before `bit` of the blob."""
        byte = bit >> 3
        pieces = self._pieces
        while len(pieces) > 1 and pieces[1][0] <= byte:
            self._drop_oldest()
        while self.is_full:
            self._drop_oldest()

    def holds(self, bit: int) -> bool:
        """Whether the code from `bit` of the blob on is still there."""
        return self._pieces[0][0] <= bit >> 3

    def _drop_oldest(self) -> None:
        self._size -= len(self._pieces.popleft()[1])

    def cut(self, first: int, end: int | None = None) -> list[memoryview]:
        """The blob's bytes from `first` to `end` (exclusive; None for all that is there)."""
        views = []
        for at, data in self._pieces:
            if end is not None and at >= end:
                break
            low = max(first - at, 0)
            high = len(data) if end is None else min(end - at, len(data))
            if low < high:
                views.append(memoryview(data)[low:high])
        return views
