"""New header bytes: an entry with another path or link target, or an entry made from nothing.

Everything else keeps its bytes: mode, owner, times, xattrs, sparse maps, formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from squashproxy.archive.extended_headers import Extended
from squashproxy.archive.header import (
    BLOCK,
    CHECKSUM,
    DIRECTORY,
    EXTENSIONS,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    LINK,
    MAGIC,
    NAME,
    OLD_REGULAR,
    PAX,
    PAX_RECORDS,
    PREFIX,
    REGULAR,
    SIZE,
    TYPE_AT,
    checksum,
    encode_pax,
    padded,
    parse_number,
    parse_pax,
)

_Record = tuple[bytes, bytes]

_POSIX_MAGIC = b"ustar\x0000"
_POSIX = b"ustar\0"
_GNU = b"ustar "
_PAX_PATH = b"path"
_PAX_LINK = b"linkpath"
_SPARSE_NAME = b"GNU.sparse.name"
_STAR_PREFIX = slice(345, 476)
_STAR_TRAILER = slice(508, 512)
_EXTENSION_MODE = 0o644


@dataclass(frozen=True, slots=True)
class _Extension:
    typeflag: bytes
    block: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Headers:
    """The header blocks of one entry, taken apart."""

    extensions: tuple[_Extension, ...]
    main: bytes
    sparse: bytes

    @property
    def is_gnu(self) -> bool:
        return self.main[MAGIC] == _GNU

    @property
    def is_directory(self) -> bool:
        typeflag = self.main[TYPE_AT : TYPE_AT + 1]
        return typeflag == DIRECTORY or (typeflag == OLD_REGULAR and self._name.endswith(b"/"))

    @property
    def _name(self) -> bytes:
        extended = Extended()
        for extension in self.extensions:
            extended.add(extension.typeflag, extension.payload)
        return extended.name(self.main, 0)


def with_path(raw: bytes, path: bytes) -> bytes:
    """The header blocks `raw` of an entry, changed to the (normalised) `path`."""
    headers = _split(raw)
    name = path + b"/" if headers.is_directory else path
    headers = _with_sparse_name(_without(headers, GNU_LONG_NAME, _PAX_PATH), name)
    main = _set(headers.main, NAME, name[:100])
    if main[_STAR_TRAILER] == b"tar\0":
        main = _set(main, _STAR_PREFIX, b"")
    elif main[MAGIC] == _POSIX:
        main = _set(main, PREFIX, b"")
    headers = replace(headers, main=main)
    if len(name) > NAME.stop - NAME.start:
        headers = _with_long(headers, GNU_LONG_NAME, _PAX_PATH, name)
    return _join(headers)


def with_link(raw: bytes, link: bytes) -> bytes:
    """The header blocks `raw` of a link, changed to the (normalised) target `link`."""
    headers = _without(_split(raw), GNU_LONG_LINK, _PAX_LINK)
    headers = replace(headers, main=_set(headers.main, LINK, link[:100]))
    if len(link) > LINK.stop - LINK.start:
        headers = _with_long(headers, GNU_LONG_LINK, _PAX_LINK, link)
    return _join(headers)


def directory_header(path: bytes) -> bytes:
    """A directory as unpackers make one without an entry: mode 0755, root, epoch."""
    return _made(path + b"/", DIRECTORY, 0o755)


def empty_file_header(path: bytes) -> bytes:
    """An empty file, as a whiteout is."""
    return _made(path, REGULAR, 0)


def _made(name: bytes, typeflag: bytes, mode: int) -> bytes:
    main = _block(name[:100], typeflag, mode, 0)
    headers = _Headers((), main, b"")
    if len(name) > NAME.stop - NAME.start:
        headers = _with_long(headers, GNU_LONG_NAME, _PAX_PATH, name)
    return _join(headers)


def _split(raw: bytes) -> _Headers:
    extensions = []
    at = 0
    while (typeflag := raw[at + TYPE_AT : at + TYPE_AT + 1]) in EXTENSIONS:
        size = parse_number(raw[at + SIZE.start : at + SIZE.stop])
        start = at + BLOCK
        extensions.append(_Extension(typeflag, raw[at:start], raw[start : start + size]))
        at = start + padded(size)
    return _Headers(tuple(extensions), raw[at : at + BLOCK], raw[at + BLOCK :])


def _join(headers: _Headers) -> bytes:
    pieces = []
    for extension in headers.extensions:
        payload = extension.payload
        block = _set(extension.block, SIZE, b"%011o\0" % len(payload))
        pieces += [_summed(block), payload, bytes(padded(len(payload)) - len(payload))]
    return b"".join([*pieces, _summed(headers.main), headers.sparse])


def _without(headers: _Headers, gnu: bytes, key: bytes) -> _Headers:
    """The headers with every long form of one field removed."""
    kept = []
    for extension in headers.extensions:
        if extension.typeflag == gnu:
            continue
        if extension.typeflag in PAX_RECORDS:
            records = parse_pax(extension.payload)
            others = [record for record in records if record[0] != key]
            if len(others) < len(records):
                if others:
                    kept.append(replace(extension, payload=encode_pax(others)))
                continue
        kept.append(extension)
    return replace(headers, extensions=tuple(kept))


def _with_sparse_name(headers: _Headers, name: bytes) -> _Headers:
    def renamed(records: Iterable[_Record]) -> Iterable[_Record]:
        return ((key, name if key == _SPARSE_NAME else value) for key, value in records)

    return _with_records(headers, renamed)


def _with_long(headers: _Headers, gnu: bytes, key: bytes, value: bytes) -> _Headers:
    """The headers with a field that its 100 bytes cannot hold, in the entry's own format."""
    if headers.is_gnu:
        block = _block(b"././@LongLink", gnu, _EXTENSION_MODE, 0, magic=b"ustar  \0")
        added = _Extension(gnu, block, value + b"\0")
        return replace(headers, extensions=(added, *headers.extensions))
    if any(extension.typeflag in PAX_RECORDS for extension in headers.extensions):
        # If there are several pax headers, some readers use the first and others the last.
        return _with_records(headers, lambda records: [*records, (key, value)])
    block = _block(b"PaxHeaders/entry", PAX, _EXTENSION_MODE, 0)
    added = _Extension(PAX, block, encode_pax([(key, value)]))
    return replace(headers, extensions=(*headers.extensions, added))


def _with_records(
    headers: _Headers, changed: Callable[[Iterable[_Record]], Iterable[_Record]]
) -> _Headers:
    """The headers with the records of each pax header changed."""
    return replace(
        headers,
        extensions=tuple(
            replace(extension, payload=encode_pax(changed(parse_pax(extension.payload))))
            if extension.typeflag in PAX_RECORDS
            else extension
            for extension in headers.extensions
        ),
    )


def _block(
    name: bytes, typeflag: bytes, mode: int, size: int, magic: bytes = _POSIX_MAGIC
) -> bytes:
    fields = [
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"0000000\0" * 2,
        b"%011o\0" % size,
        b"00000000000\0",
        b" " * 8,
        typeflag,
        bytes(100),
        magic,
    ]
    return _summed(b"".join(fields).ljust(BLOCK, b"\0"))


def _set(block: bytes, field: slice, value: bytes) -> bytes:
    width = field.stop - field.start
    return block[: field.start] + value.ljust(width, b"\0") + block[field.stop :]


def _summed(block: bytes) -> bytes:
    return _set(block, CHECKSUM, b"%06o\0 " % checksum(block, 0))
