"""Tar headers, byte for byte, in the three formats of tar writers: ustar, GNU and pax."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

BLOCK = 512
"""Tar archives are made of blocks of this many bytes."""

_NAME = 100
_PREFIX = 155
_LONG_LINK = b"././@LongLink"
_XATTR = "SCHILY.xattr."


class TarFormat(Enum):
    """The ways to write names and numbers that do not fit into a ustar header."""

    USTAR = "ustar"
    GNU = "gnu"
    PAX = "pax"


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of one entry; `name` and `linkname` are written exactly as they are.

    `size` counts the bytes that follow. `xattrs` become pax records in every format, as GNU tar
    and docker write them; `records` are further ones, in their order, names may repeat.
    """

    name: bytes
    typeflag: bytes = b"0"
    linkname: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: float = 0
    uname: bytes = b""
    gname: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    records: tuple[tuple[str, bytes], ...] = ()


def encode_header(header: Header, form: TarFormat) -> bytes:
    """The header of an entry, after the extension blocks that it needs.

    Raises ValueError if the format cannot hold a field.
    """
    records = [(_XATTR + name, value) for name, value in header.xattrs.items()]
    records += header.records
    if form is TarFormat.PAX:
        records = [*_overflowing(header), *records]
    return b"".join(
        (
            encode_records(b"x", _pax_name(header.name), records) if records else b"",
            _long_links(header) if form is TarFormat.GNU else b"",
            encode_block(header, form),
        )
    )


def encode_records(typeflag: bytes, name: bytes, records: list[tuple[str, bytes]]) -> bytes:
    """A pax extended header (`x`) or global one (`g`), with its block (POSIX.1-2001, pax)."""
    data = b"".join(_record(key, value) for key, value in records)
    block = encode_block(Header(name, typeflag, size=len(data)), TarFormat.PAX)
    return block + padded(data)


def encode_block(header: Header, form: TarFormat) -> bytes:
    """The header's own 512 bytes. A value that does not fit is cut; an extension holds it whole."""
    name, prefix = header.name[:_NAME], b""
    if form is TarFormat.USTAR and len(header.name) > _NAME:
        prefix, name = _split_name(header.name)
    major, minor = header.device
    magic = b"ustar  \0" if form is TarFormat.GNU else b"ustar\x0000"
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            _number(header.mode, 8, form),
            _number(header.uid, 8, form),
            _number(header.gid, 8, form),
            _number(header.size, 12, form),
            _number(math.floor(header.mtime), 12, form),
            b" " * 8,
            header.typeflag,
            header.linkname[:_NAME].ljust(100, b"\0"),
            magic,
            header.uname.ljust(32, b"\0"),
            header.gname.ljust(32, b"\0"),
            _number(major, 8, form),
            _number(minor, 8, form),
            prefix.ljust(_PREFIX, b"\0"),
        )
    ).ljust(BLOCK, b"\0")
    return with_checksum(block)


def with_checksum(block: bytes) -> bytes:
    """A header block with its checksum: the sum of its bytes, with spaces for the sum itself."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def padded(data: bytes) -> bytes:
    """`data`, filled up with zeros to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def octal(value: int, width: int) -> bytes:
    """A number as `width - 1` octal digits and a NUL."""
    return b"%0*o\0" % (width - 1, value)


def _number(value: int, width: int, form: TarFormat) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return octal(value, width)
    if form is TarFormat.GNU:
        return _base256(value, width)
    if form is TarFormat.PAX:
        return octal(0, width)
    raise ValueError(f"{value} does not fit a ustar header")


def _base256(value: int, width: int) -> bytes:
    """GNU's binary form: big-endian, the first bit set; negative numbers as two's complement."""
    data = bytearray((value % (1 << 8 * width)).to_bytes(width, "big"))
    data[0] |= 0x80
    return bytes(data)


def _overflowing(header: Header) -> list[tuple[str, bytes]]:
    """The pax records for the values that the block cannot hold."""
    records = []
    named = {key for key, _ in header.records}
    for key, value in (("path", header.name), ("linkpath", header.linkname)):
        if key not in named and (len(value) > _NAME or _is_foreign_text(value)):
            records.append((key, value))
    for key, number, limit in (
        ("uid", header.uid, 8**7),
        ("gid", header.gid, 8**7),
        ("size", header.size, 8**11),
    ):
        if number >= limit:
            records.append((key, b"%d" % number))
    if header.mtime != int(header.mtime) or not 0 <= header.mtime < 8**11:
        records.append(("mtime", repr(header.mtime).encode()))
    return records


def _is_foreign_text(value: bytes) -> bool:
    """Whether a name is UTF-8 but not ASCII; other bytes go into the block, as in GNU tar."""
    try:
        return not value.decode().isascii()
    except UnicodeDecodeError:
        return False


def _record(key: str, value: bytes) -> bytes:
    """`<length> <key>=<value>` and a line feed; the length counts its own digits, too."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(b"%d" % length):
        length = len(rest) + len(b"%d" % length)
    return b"%d" % length + rest


def _long_links(header: Header) -> bytes:
    parts = []
    for typeflag, value in ((b"K", header.linkname), (b"L", header.name)):
        if len(value) > _NAME:
            data = value + b"\0"
            block = encode_block(Header(_LONG_LINK, typeflag, size=len(data)), TarFormat.GNU)
            parts.append(block + padded(data))
    return b"".join(parts)


def _pax_name(name: bytes) -> bytes:
    return b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2][:80]


def _split_name(name: bytes) -> tuple[bytes, bytes]:
    at = name.rfind(b"/", 0, _PREFIX + 1)
    if at <= 0 or len(name) - at - 1 > _NAME:
        raise ValueError(f"{name!r} does not fit a ustar header")
    return name[:at], name[at + 1 :]
