"""Layers built entry by entry, valid or broken in any way that a tar can be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Self, TypedDict, Unpack

from squashproxy.testing.headers import (
    BLOCK,
    Header,
    TarFormat,
    encode_header,
    encode_records,
    padded,
)
from squashproxy.testing.sparse import Segments, SparseForm, encode_sparse

MTIME = 1_700_000_000
"""The default modification time, in seconds since 1970."""

_PATTERN = 1 << 20


class Attributes(TypedDict, total=False):
    """Attributes that every kind of entry can have; `mtime` is in seconds since 1970."""

    mode: int
    uid: int
    gid: int
    mtime: float
    uname: str
    gname: str
    xattrs: Mapping[str, bytes]
    records: tuple[tuple[str, bytes], ...]


Name = str | bytes


class LayerBuilder:
    """Writes the tar of a layer, with one entry for each call, in the order of the calls.

    Names are written exactly as given; a str is encoded as UTF-8, with surrogates for other bytes.
    Entries are not sorted or deduplicated, no `./` is removed, and no parent is added.
    """

    def __init__(self, form: TarFormat = TarFormat.PAX) -> None:
        self._form = form
        self._parts: list[bytes | _Pattern] = []

    def file(self, name: Name, data: bytes = b"", **attributes: Unpack[Attributes]) -> Self:
        """A regular file."""
        return self._add(name, b"0", data=data, attributes=attributes)

    def large_file(self, name: Name, size: int, **attributes: Unpack[Attributes]) -> Self:
        """A file of `size` bytes, which `iter_tar` produces in pieces without holding all of it.

        Its content repeats a pattern of 1 MiB that depends on the name.
        """
        self._parts.append(
            encode_header(_header(name, b"0", 0o644, attributes, size=size), self._form)
        )
        self._parts.append(_Pattern(_bytes(name), size))
        return self

    def directory(self, name: Name, **attributes: Unpack[Attributes]) -> Self:
        """A directory; a slash is appended to a name without one."""
        raw = _bytes(name)
        slashed = raw if raw.endswith(b"/") else raw + b"/"
        return self._add(slashed, b"5", mode=0o755, attributes=attributes)

    def symlink(self, name: Name, target: Name, **attributes: Unpack[Attributes]) -> Self:
        """A symbolic link."""
        return self._add(name, b"2", linkname=_bytes(target), mode=0o777, attributes=attributes)

    def hardlink(self, name: Name, target: Name, **attributes: Unpack[Attributes]) -> Self:
        """A hard link to another path."""
        return self._add(name, b"1", linkname=_bytes(target), attributes=attributes)

    def fifo(self, name: Name, **attributes: Unpack[Attributes]) -> Self:
        """A named pipe."""
        return self._add(name, b"6", attributes=attributes)

    def device(
        self,
        name: Name,
        major: int,
        minor: int,
        *,
        block: bool = False,
        **attributes: Unpack[Attributes],
    ) -> Self:
        """A character or block device."""
        header = _header(name, b"4" if block else b"3", 0o644, attributes, device=(major, minor))
        self._parts.append(encode_header(header, self._form))
        return self

    def whiteout(self, name: Name, **attributes: Unpack[Attributes]) -> Self:
        """A whiteout, which deletes `name` of the layers below: `.wh.` before its last part."""
        directory, slash, base = _bytes(name).rpartition(b"/")
        marker = directory + slash + b".wh." + base
        return self._add(marker, b"0", mode=0, attributes=attributes)

    def opaque(self, name: Name, **attributes: Unpack[Attributes]) -> Self:
        """An opaque marker, which hides what the layers below have in the directory `name`."""
        raw = _bytes(name)
        slash = b"" if not raw or raw.endswith(b"/") else b"/"
        return self._add(raw + slash + b".wh..wh..opq", b"0", mode=0, attributes=attributes)

    def sparse(
        self,
        name: Name,
        segments: Segments,
        real_size: int,
        form: SparseForm = SparseForm.PAX_1_0,
        **attributes: Unpack[Attributes],
    ) -> Self:
        """A sparse file. `segments` are offsets, each with its data; everything else is a hole."""
        header = _header(name, b"0", 0o644, attributes)
        self._parts.append(encode_sparse(header, segments, real_size, form))
        return self

    def global_pax_header(self, records: Mapping[str, str | bytes]) -> Self:
        """A pax header for all entries that follow."""
        raw = [(key, _bytes(value)) for key, value in records.items()]
        self._parts.append(encode_records(b"g", b"pax_global_header", raw))
        return self

    def entry(self, header: Header, data: bytes = b"") -> Self:
        """An entry with any header, even one whose `size` is not that of `data`."""
        self._parts.append(encode_header(header, self._form) + padded(data))
        return self

    def raw(self, data: bytes) -> Self:
        """Raw bytes, which need not be a valid entry."""
        self._parts.append(data)
        return self

    def tar(self, *, end_blocks: int = 2, record_size: int = 1) -> bytes:
        """The whole tar, with `end_blocks` zero blocks at its end.

        It is padded to a whole number of records of `record_size` bytes (GNU tar's are 10240).
        """
        return b"".join(self.iter_tar(end_blocks=end_blocks, record_size=record_size))

    def iter_tar(self, *, end_blocks: int = 2, record_size: int = 1) -> Iterator[bytes]:
        """The tar in pieces of at most 1 MiB; a larger file given as bytes stays one piece."""
        size = 0
        for part in self._parts:
            pieces = (part,) if isinstance(part, bytes) else part.iter_padded()
            for piece in pieces:
                size += len(piece)
                yield piece
        size += end_blocks * BLOCK
        yield bytes(end_blocks * BLOCK + -size % record_size)

    def _add(
        self,
        name: Name,
        typeflag: bytes,
        *,
        attributes: Attributes,
        data: bytes = b"",
        linkname: bytes = b"",
        mode: int = 0o644,
    ) -> Self:
        header = _header(name, typeflag, mode, attributes, size=len(data), linkname=linkname)
        self._parts.append(encode_header(header, self._form) + padded(data))
        return self


class _Pattern:
    """The content of a large file, produced piece by piece."""

    def __init__(self, seed: bytes, size: int) -> None:
        self._seed = seed
        self._size = size

    def iter_padded(self) -> Iterator[bytes]:
        words = (self._seed + b"%08x " % number for number in range(_PATTERN // 8))
        pattern = b"".join(words)[:_PATTERN]
        for position in range(0, self._size, _PATTERN):
            yield pattern[: min(_PATTERN, self._size - position)]
        yield bytes(-self._size % BLOCK)


def _header(
    name: Name,
    typeflag: bytes,
    mode: int,
    attributes: Attributes,
    *,
    size: int = 0,
    linkname: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> Header:
    return Header(
        _bytes(name),
        typeflag,
        linkname,
        mode=attributes.get("mode", mode),
        uid=attributes.get("uid", 0),
        gid=attributes.get("gid", 0),
        size=size,
        mtime=attributes.get("mtime", MTIME),
        uname=_bytes(attributes.get("uname", "")),
        gname=_bytes(attributes.get("gname", "")),
        device=device,
        xattrs=attributes.get("xattrs", {}),
        records=attributes.get("records", ()),
    )


def _bytes(text: Name) -> bytes:
    return text if isinstance(text, bytes) else os.fsencode(text)
