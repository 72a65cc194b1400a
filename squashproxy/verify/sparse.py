"""Sparse files: which stretches of them are stored, from any of the four places where maps stand.

See the GNU tar manual, Sparse Formats. A map that does not fit its data is damage, as in Go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from squashproxy.verify.headers import BLOCK, Damage, Headers, decimal, number, padded

MOST_SIZE = (1 << 63) - 1
"""The largest size that a file can have (off_t)."""

_MOST_MAP = 1 << 20


@dataclass(frozen=True, slots=True)
class SparseFile:
    """A file of `size` bytes, of which the `stretches`, offsets and lengths, are stored."""

    size: int
    stretches: Sequence[tuple[int, int]]


def read_sparse(entry: Headers, read: Callable[[int], bytes]) -> SparseFile | None:
    """The map of a file; None where it is not sparse. Raises Damage.

    A map that stands before the data is `read` from there.
    """
    if entry.kind == b"S":
        return _old(entry)
    records = entry.records
    version = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
    real = records.get(b"GNU.sparse.size") or records.get(b"GNU.sparse.realsize")
    if version == (b"1", b"0"):
        stored, numbers = _before_data(entry.size, read)
    elif version in ((None, None), (b"0", b"0"), (b"0", b"1")):
        listed = records.get(b"GNU.sparse.map")
        texts = listed.split(b",") if listed else entry.spans
        if not texts:
            return None
        stored, numbers = entry.size, [decimal(text) for text in texts]
        count = records.get(b"GNU.sparse.numblocks")
        if count is not None and decimal(count) * 2 != len(numbers):
            raise Damage("a sparse file's map has more or less entries than it says")
    else:
        return None
    return _checked(numbers, stored, decimal(real) if real else entry.size)


def _old(entry: Headers) -> SparseFile:
    tables = [entry.blocks[386:482]]
    tables += [entry.blocks[at : at + 504] for at in range(BLOCK, len(entry.blocks), BLOCK)]
    numbers: list[int] = []
    try:
        real = number(entry.blocks[483:495])
        for table in tables:
            for at in range(0, len(table), 24):
                if not table[at + 12]:
                    break
                numbers += number(table[at : at + 12]), number(table[at + 12 : at + 24])
    except ValueError as error:
        raise Damage("a sparse file's map holds what is no number") from error
    return _checked(numbers, entry.size, real)


def _before_data(size: int, read: Callable[[int], bytes]) -> tuple[int, list[int]]:
    """What is stored behind a map, and the numbers in it, which stand on a line each."""
    text = bytearray()
    lines = wanted = 0
    while not wanted or lines < wanted:
        if len(text) >= min(_MOST_MAP, size):
            raise Damage("a sparse file's map has no end")
        block = read(min(BLOCK, size - len(text)))
        text += block
        lines += block.count(b"\n")
        if lines and not wanted:
            wanted = 2 * decimal(bytes(text.split(b"\n", 1)[0])) + 1
    *numbers, rest = bytes(text).split(b"\n", wanted)
    stored = size - padded(len(text) - len(rest))
    return stored, [decimal(line) for line in numbers[1:]]


def _checked(numbers: list[int], stored: int, size: int) -> SparseFile:
    if len(numbers) % 2:
        raise Damage("a sparse file's map has an offset without a length")
    stretches = list(zip(numbers[::2], numbers[1::2], strict=True))
    end = total = 0
    for offset, length in stretches:
        if offset < end or length < 0:
            raise Damage("a sparse file's map is out of order")
        end = offset + length
        total += length
    if total != stored or end > size or size > MOST_SIZE:
        raise Damage("a sparse file's map does not fit its data")
    return SparseFile(size, stretches)
