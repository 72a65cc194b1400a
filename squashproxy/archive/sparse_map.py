"""Maps of sparse files, checked but not needed: what is kept keeps its map bit for bit.

A map says which stretches of a file are stored; everything else is a hole. It stands in an old GNU
header and the blocks behind it, in pax records (0.0 and 0.1), or before the data (1.0); see the
GNU tar manual, Sparse Formats. A map that does not fit its data is refused, as by Go's archive/tar,
with which docker, containerd and podman read layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from squashproxy.archive.header import BLOCK, padded, parse_decimal, parse_number
from squashproxy.errors import BadArchive

MAX_SIZE = (1 << 63) - 1
"""The size of the largest file that a kernel knows (off_t)."""
MAX_MAP = 1 << 20
"""The most bytes in a map that stands before the data."""

_IN_HEADER = slice(386, 482)
_REAL_SIZE = slice(483, 495)
_IN_EXTENSION = slice(0, 504)
_NUMBER = 12
_OLD_VERSIONS = frozenset({(b"0", b"0"), (b"0", b"1")})
_NEW_VERSION = (b"1", b"0")


def check_map(numbers: Sequence[int], stored: int, real: int) -> None:
    """Raise BadArchive unless the map fits a file of `real` bytes of which `stored` are stored.

    `numbers` are the offset and the length of one stretch after the other.
    """
    if len(numbers) % 2:
        raise BadArchive("a sparse file's map has an offset without a length")
    end = total = 0
    for offset, length in zip(numbers[::2], numbers[1::2], strict=True):
        if offset < end or length < 0:
            raise BadArchive("a sparse file's map is out of order")
        end = offset + length
        total += length
    if total != stored or end > real or real > MAX_SIZE:
        raise BadArchive("a sparse file's map does not fit its data")


def check_old(blocks: bytes, stored: int) -> int:
    """Check an old GNU map in an entry's own header and those behind it; return the file's size.

    Raises BadArchive.
    """
    try:
        real = parse_number(blocks[_REAL_SIZE])
        numbers = _table(blocks[_IN_HEADER])
        for at in range(BLOCK, len(blocks), BLOCK):
            numbers += _table(blocks[at : at + BLOCK][_IN_EXTENSION])
    except ValueError as error:
        raise BadArchive("a sparse file's map holds what is no number") from error
    check_map(numbers, stored, real)
    return real


def _table(table: bytes) -> list[int]:
    numbers: list[int] = []
    for at in range(0, len(table), 2 * _NUMBER):
        offset, length = table[at : at + _NUMBER], table[at + _NUMBER : at + 2 * _NUMBER]
        if not length[0]:
            break
        numbers += (parse_number(offset), parse_number(length))
    return numbers


class PaxMap:
    """What the pax records of a file say of its map; `spans` are the records of version 0.0."""

    def __init__(self, records: Mapping[bytes, bytes], spans: Sequence[bytes]) -> None:
        version = (records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor"))
        self.is_in_payload = version == _NEW_VERSION
        """Whether the map stands before the data."""
        listed = records.get(b"GNU.sparse.map")
        is_old = version in _OLD_VERSIONS or version == (None, None)
        self.is_in_records = is_old and bool(listed or spans)
        """Whether the map stands in the records."""
        self._listed = listed.split(b",") if listed else spans
        self._count = records.get(b"GNU.sparse.numblocks")
        self._real = records.get(b"GNU.sparse.size") or records.get(b"GNU.sparse.realsize")

    def real_size(self, stored: int) -> int:
        """The size of the file, of which `stored` bytes are stored. Raises BadArchive."""
        return _decimal(self._real) if self._real else stored

    def check(self, stored: int) -> int:
        """Check the map in the records; return the file's size. Raises BadArchive."""
        numbers = [_decimal(text) for text in self._listed]
        if self._count is not None and 2 * _decimal(self._count) != len(numbers):
            raise BadArchive("a sparse file's map has more or less entries than it says")
        real = self.real_size(stored)
        check_map(numbers, stored, real)
        return real


class PayloadMap:
    """Checks a map that stands before the data (pax 1.0) while the payload passes by.

    `size` is the payload's, `real` the file's, both in bytes.
    """

    def __init__(self, size: int, real: int) -> None:
        self._size = size
        self._real = real
        self._text = bytearray()
        self._lines = 0
        self._wanted = 0

    def feed(self, piece: bytes) -> bool:
        """Take the next bytes of the payload; True once the map is complete. Raises BadArchive."""
        room = min(MAX_MAP, self._size) - len(self._text)
        self._text += piece[: max(0, room)]
        self._lines += piece.count(b"\n", 0, max(0, room))
        if not self._wanted and self._lines:
            count = _decimal(bytes(self._text.partition(b"\n")[0]))
            self._wanted = 1 + 2 * count
        if self._wanted and self._lines >= self._wanted:
            *lines, rest = bytes(self._text).split(b"\n", self._wanted)
            length = padded(len(self._text) - len(rest))
            check_map([_decimal(line) for line in lines[1:]], self._size - length, self._real)
            return True
        if room <= len(piece):
            raise BadArchive("a sparse file's map has no end")
        return False


def _decimal(text: bytes) -> int:
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise BadArchive("a sparse file's map holds what is no number") from error
