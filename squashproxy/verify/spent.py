"""Spent: what unpacking an image has taken so far, held against the limits."""

from __future__ import annotations

from squashproxy.errors import LimitExceeded
from squashproxy.limits import Limits, too_large_ratio


class Spent:
    """Counts what one image unpacks to; `packed` is the size of its blobs in bytes.

    Every method raises LimitExceeded past a limit; `where` names the layer that is read.
    """

    def __init__(self, limits: Limits, packed: int) -> None:
        self._limits = limits
        self._packed = packed
        self._most = limits.most_unpacked(packed)
        self._read = self._holes = self._entries = 0
        self.memory = 0
        """The bytes of memory that another tree takes at the same time."""

    def compare_with(self, other: Spent) -> None:
        """Hold both images against the size of the larger one: a squash makes images smaller."""
        self._packed = other._packed = max(self._packed, other._packed)
        self._most = other._most = self._limits.most_unpacked(self._packed)

    def note_read(self, size: int, where: str) -> None:
        """Note `size` more bytes of unpacked tar."""
        self._read += size
        if self._most is not None and self._read > self._most:
            raise too_large_ratio(where, self._limits.ratio, self._packed)
        self._check_unpacked(where)

    def note_hole(self, size: int, where: str) -> None:
        """Note `size` bytes of holes in a sparse file, which an unpacker may write out."""
        self._holes += size
        self._check_unpacked(where)

    def note_entry(self, memory: int, where: str) -> None:
        """Note an entry; its tree takes `memory` bytes now."""
        self._entries += 1
        _check(where, self._entries, self._limits.entries, "entries", "{max-entries}")
        taken = memory + self.memory
        _check(where, taken, self._limits.memory, "bytes to remember", "{memory}")

    def _check_unpacked(self, where: str) -> None:
        unpacked, limit = self._read + self._holes, self._limits.unpacked
        _check(where, unpacked, limit, "unpacked bytes", "{max-unpacked}")


def _check(where: str, value: int, limit: int | None, what: str, setting: str) -> None:
    if limit is not None and value > limit:
        raise LimitExceeded(
            f"{where}: the image has more than {limit} {what}",
            advice=f"raise the limit with {setting} if you trust the image",
        )
