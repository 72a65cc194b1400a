"""Tar header blocks: ustar, GNU, pax and old Unix forms (POSIX pax; GNU tar manual, tar.h).

Functions take a buffer and the offset of a 512-byte block in it and copy only what they return.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import adler32

from squashproxy.errors import BadArchive

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
END_OF_ARCHIVE = bytes(2 * BLOCK)

REGULAR = b"0"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
CONTIGUOUS = b"7"
OLD_REGULAR = b"\0"
GNU_SPARSE = b"S"
GNU_LONG_NAME = b"L"
GNU_LONG_LINK = b"K"
PAX = b"x"
PAX_SOLARIS = b"X"
PAX_GLOBAL = b"g"

PAX_RECORDS = frozenset({PAX, PAX_SOLARIS})
EXTENSIONS = frozenset({GNU_LONG_NAME, GNU_LONG_LINK, PAX_GLOBAL}) | PAX_RECORDS
WITHOUT_PAYLOAD = frozenset({HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO})
KINDS = WITHOUT_PAYLOAD | {REGULAR, GNU_SPARSE}
"""The types that unpackers take; docker, containerd, podman and umoci fail on all others."""

NAME = slice(0, 100)
SIZE = slice(124, 136)
CHECKSUM = slice(148, 156)
TYPE_AT = 156
LINK = slice(157, 257)
MAGIC = slice(257, 263)
PREFIX = slice(345, 500)

_POSIX_MAGIC = b"ustar\0"
_STAR_PREFIX_END = 476
_STAR_TRAILER = (508, b"tar\0")
_GNU_EXTENDED_AT = 482
_GNU_EXTENSION_EXTENDED_AT = 504
_SPACES = 8 * 0x20
_HALF = BLOCK // 2
_MAX_DIGITS = 20


def checksum(buffer: bytes, at: int) -> int:
    """The sum of a header's bytes, with its checksum field read as spaces.

    The low half of Adler-32 is one plus the sum modulo 65521; half a block never reaches that.
    """
    view = memoryview(buffer)
    low = adler32(view[at : at + _HALF]) & 0xFFFF
    high = adler32(view[at + _HALF : at + BLOCK]) & 0xFFFF
    field = buffer[at + CHECKSUM.start : at + CHECKSUM.stop]
    return low + high - 2 - sum(field) + _SPACES


def has_valid_checksum(buffer: bytes, at: int) -> bool:
    """Whether the checksum is right, in unsigned bytes or, as old tars count, in signed ones."""
    try:
        stated = parse_number(buffer[at + CHECKSUM.start : at + CHECKSUM.stop])
    except ValueError:
        return False
    unsigned = checksum(buffer, at)
    if stated == unsigned:
        return True
    block = buffer[at : at + CHECKSUM.start] + buffer[at + CHECKSUM.stop : at + BLOCK]
    return stated == unsigned - 256 * sum(byte >= 0x80 for byte in block)


def parse_number(field: bytes) -> int:
    """Parse an octal field, or one in GNU's base 256. Raises ValueError.

    Zero bytes and spaces may precede the digits, as in Go's tar reader.
    """
    if field and field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False)
        bits = 8 * len(field)
        if field[0] == 0xFF:
            return value - (1 << bits)
        return value & ~(0x80 << (bits - 8))
    text = field.lstrip(b"\0 ").partition(b"\0")[0].strip()
    if not text:
        return 0
    if not text.isdigit():
        raise ValueError(field)
    return int(text, 8)


def read_name(buffer: bytes, at: int) -> bytes:
    """The path in a header block, joined with its ustar or star prefix; raw bytes."""
    name = _text(buffer, at, 100)
    if buffer[at + MAGIC.start : at + MAGIC.stop] != _POSIX_MAGIC or not buffer[at + PREFIX.start]:
        return name
    trailer_at, trailer = _STAR_TRAILER
    is_star = buffer[at + trailer_at : at + BLOCK] == trailer
    end = _STAR_PREFIX_END if is_star else PREFIX.stop
    prefix = _text(buffer, at + PREFIX.start, end - PREFIX.start)
    return prefix + b"/" + name


def read_link(buffer: bytes, at: int) -> bytes:
    """The link target in a header block; raw bytes."""
    return _text(buffer, at + LINK.start, 100)


def is_sparse_extended(buffer: bytes, at: int, *, first: bool) -> bool:
    """Whether another block of an old GNU sparse map follows."""
    return buffer[at + (_GNU_EXTENDED_AT if first else _GNU_EXTENSION_EXTENDED_AT)] != 0


def padded(size: int) -> int:
    """`size` bytes of payload, rounded up to whole blocks."""
    return (size + BLOCK - 1) & -BLOCK


def parse_decimal(text: bytes) -> int:
    """Parse a decimal number of a pax header. Raises ValueError, also for huge numbers."""
    if not text.isdigit() or len(text) > _MAX_DIGITS:
        raise ValueError(text)
    return int(text)


def parse_pax(payload: bytes) -> list[tuple[bytes, bytes]]:
    """Parse the records of a pax header, `LENGTH KEY=VALUE` with a line feed. Raises BadArchive.

    If a key occurs more than once, the last one counts, except for the maps of sparse files (pax
    0.0).
    """
    records = []
    at = 0
    while at < len(payload):
        space = payload.find(b" ", at, at + _MAX_DIGITS + 1)
        try:
            end = at + parse_decimal(payload[at : max(space, at)])
        except ValueError as error:
            raise BadArchive("a pax header has a record without a length") from error
        record = payload[space + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if end > len(payload) or payload[end - 1 : end] != b"\n" or not equals or end <= space:
            raise BadArchive("a pax header has a damaged record")
        records.append((key, value))
        at = end
    return records


def encode_pax(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The payload of a pax header that holds `records`, in their order."""
    return b"".join(_pax_record(key, value) for key, value in records)


def _pax_record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _text(buffer: bytes, at: int, length: int) -> bytes:
    end = buffer.find(b"\0", at, at + length)
    return buffer[at : end if end >= 0 else at + length]
