"""Tar headers as unpackers of images read them: the rules of Go's archive/tar.

docker, containerd, podman and umoci all read layers with it. The standard library's tarfile follows
other rules: it applies global headers, takes damaged records and reads holes byte for byte. No code
is shared with the scanner that the merge uses.

1. An entry is its own header, with extension headers before it. A global one applies to nothing,
   and takes those before it along.
2. A GNU long name counts before a pax path, and that before the header's own. What is empty does
   not count.
3. A checksum, a size and pax records must be right. Other numbers may be anything, since the merge
   does not look at them: -1 stands for what is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

BLOCK = 512
MOST_IN_EXTENSION = 1 << 20
"""The most bytes in one extension header, as in Go."""
MOST_IN_HEADERS = 4 << 20
"""The most bytes in all headers of one entry."""

_GLOBAL = b"g"
_LONG_NAME = b"L"
_LONG_LINK = b"K"
_PAX = frozenset({b"x", b"X"})
_EXTENSIONS = _PAX | {_GLOBAL, _LONG_NAME, _LONG_LINK}
_SPARSE = b"S"
_EMPTY_KINDS = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_XATTR = b"SCHILY.xattr."
_SPANS = frozenset({b"GNU.sparse.offset", b"GNU.sparse.numbytes"})
_WHOLE = re.compile(rb"-?[0-9]{1,20}")
_TIME = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]{0,40}))?")
_SECOND = 1_000_000_000
_DIGITS = 20

ReadExactly = Callable[[int], bytes]
"""Reads so many bytes; fewer only where the tar ends."""


class Damage(Exception):
    """A tar that no unpacker reads. Its text completes a sentence, in brackets."""


@dataclass(slots=True)
class Headers:
    """The headers of one entry. Names are bytes as they are written.

    `size` is what is stored of a file, in bytes. `records` are those of its last pax header,
    `spans` the numbers of a sparse map in them that has a record for each. `blocks` are its own
    header and those of an old GNU sparse map.
    """

    size: int = 0
    kind: bytes = b"0"
    name: bytes = b""
    link: bytes = b""
    mode: int = -1
    owner: tuple[int, int] = (-1, -1)
    mtime: int = -1
    device: tuple[int, int] = (-1, -1)
    records: dict[bytes, bytes] = field(default_factory=dict)
    spans: list[bytes] = field(default_factory=list)
    blocks: bytes = b""

    @property
    def xattrs(self) -> list[tuple[bytes, bytes]]:
        """Names and values of the extended attributes, by name."""
        return sorted(
            (name.removeprefix(_XATTR), value)
            for name, value in self.records.items()
            if name.startswith(_XATTR)
        )


@dataclass(slots=True)
class _Extensions:
    long_name: bytes = b""
    long_link: bytes = b""
    records: dict[bytes, bytes] = field(default_factory=dict)
    spans: list[bytes] = field(default_factory=list)
    size: int = 0


def read_headers(read: ReadExactly) -> Headers | None:
    """The headers of the next entry; None at the end of the archive. Raises Damage."""
    found = _Extensions()
    while True:
        block = read(BLOCK)
        if not any(block):
            if found.size:
                raise Damage("it ends behind an extension header")
            return None
        if len(block) < BLOCK:
            raise Damage("it ends within a header")
        kind, size = _check(block)
        if kind not in _EXTENSIONS:
            return _entry(block, kind, size, found, read)
        whole = BLOCK + padded(size)
        if size > MOST_IN_EXTENSION or found.size + whole > MOST_IN_HEADERS:
            raise Damage("the headers of an entry are longer than is allowed")
        payload = read(padded(size))
        if len(payload) < padded(size):
            raise Damage("it ends within a header")
        if kind == _GLOBAL:
            found = _Extensions()
            continue
        found.size += whole
        _extend(found, kind, payload[:size])


def padded(size: int) -> int:
    """So many bytes, filled up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def decimal(text: bytes) -> int:
    """A decimal number in a pax record. Raises Damage."""
    if not text.isdigit() or len(text) > _DIGITS:
        raise Damage("a number in a pax header is none")
    return int(text)


def number(data: bytes) -> int:
    """A number field: octal, or GNU's base 256. Raises ValueError."""
    if data[0] >= 0x80:
        first = data[0] & 0x7F | (data[0] & 0x40) << 1
        return int.from_bytes(bytes([first]) + data[1:], signed=True)
    text = data.lstrip(b"\0 ").split(b"\0", 1)[0].strip()
    if text and not text.isdigit():
        raise ValueError(text)
    return int(text or b"0", 8)


def _check(block: bytes) -> tuple[bytes, int]:
    """Type and size in a header whose checksum is right."""
    try:
        stated = number(block[148:156])
        size = number(block[124:136])
    except ValueError as error:
        raise Damage("a header holds what is no number") from error
    rest = block[:148] + b" " * 8 + block[156:]
    if stated != sum(rest) and stated != sum(memoryview(rest).cast("b")):
        raise Damage("bad checksum")
    if size < 0:
        raise Damage("a negative size")
    return block[156:157], size


def _extend(found: _Extensions, kind: bytes, payload: bytes) -> None:
    if kind == _LONG_NAME:
        found.long_name = _text(payload)
    elif kind == _LONG_LINK:
        found.long_link = _text(payload)
    else:
        records = list(_iter_records(payload))
        found.records = dict(records)
        found.spans = [value for key, value in records if key in _SPANS]


def _iter_records(payload: bytes) -> list[tuple[bytes, bytes]]:
    """Records of `LENGTH KEY=VALUE` and a line feed (POSIX, pax)."""
    records = []
    at = 0
    while at < len(payload):
        length = payload[at : at + _DIGITS + 1].partition(b" ")[0]
        end = at + decimal(length)
        record = payload[at + len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(payload) or not record.endswith(b"\n") or not equals:
            raise Damage("a record of a pax header is damaged")
        records.append((key, value[:-1]))
        at = end
    return records


def _entry(block: bytes, kind: bytes, size: int, found: _Extensions, read: ReadExactly) -> Headers:
    records = found.records
    name = found.long_name or records.get(b"GNU.sparse.name") or records.get(b"path")
    entry = Headers(records=records, spans=found.spans, blocks=block)
    entry.name = name or _own_name(block)
    entry.kind = _kind(kind, entry.name)
    if kind in (b"1", b"2"):
        entry.link = found.long_link or records.get(b"linkpath") or _text(block[157:257])
    if kind == _SPARSE:
        entry.blocks += _read_map(block, read)
    stated = records.get(b"size")
    size = decimal(stated) if stated else size
    entry.size = 0 if entry.kind in _EMPTY_KINDS else size
    entry.mode = _lenient(block[100:108])
    uid, gid = records.get(b"uid"), records.get(b"gid")
    entry.owner = _whole(uid, block[108:116]), _whole(gid, block[116:124])
    entry.mtime = _time(records.get(b"mtime"), block[136:148])
    entry.device = _lenient(block[329:337]), _lenient(block[337:345])
    return entry


def _kind(kind: bytes, name: bytes) -> bytes:
    """The type; a file's is `0`, however it was written."""
    if kind == b"\0":
        return b"5" if name.endswith(b"/") else b"0"
    return b"0" if kind == b"7" else kind


def _own_name(block: bytes) -> bytes:
    name = _text(block[:100])
    if block[257:263] != b"ustar\0" or not block[345]:
        return name
    is_star = block[508:512] == b"tar\0"
    return _text(block[345 : 476 if is_star else 500]) + b"/" + name


def _read_map(block: bytes, read: ReadExactly) -> bytes:
    """The blocks of an old GNU sparse map that follow the header."""
    blocks = []
    has_more = block[482] != 0
    while has_more:
        blocks.append(read(BLOCK))
        if len(blocks[-1]) < BLOCK or len(blocks) * BLOCK > MOST_IN_EXTENSION:
            raise Damage("a sparse file's map has no end")
        has_more = blocks[-1][504] != 0
    return b"".join(blocks)


def _lenient(data: bytes) -> int:
    try:
        return number(data)
    except ValueError:
        return -1


def _whole(recorded: bytes | None, data: bytes) -> int:
    if recorded and _WHOLE.fullmatch(recorded):
        return int(recorded)
    return _lenient(data)


def _time(recorded: bytes | None, data: bytes) -> int:
    """Nanoseconds, from a pax record or the header itself."""
    match = _TIME.fullmatch(recorded) if recorded else None
    if match is None:
        return _lenient(data) * _SECOND
    sign, seconds, fraction = match.groups()
    whole = int(seconds) * _SECOND + int((fraction or b"").ljust(9, b"0")[:9])
    return -whole if sign else whole


def _text(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]
