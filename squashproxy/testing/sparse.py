"""Sparse files in the four forms that GNU tar writes (GNU tar manual, Sparse Formats)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from squashproxy.testing.headers import (
    Header,
    TarFormat,
    encode_block,
    encode_header,
    octal,
    padded,
    with_checksum,
)

Records = tuple[tuple[str, bytes], ...]
Segments = Sequence[tuple[int, bytes]]

_IN_HEADER = 4
_IN_EXTENSION = 21


class SparseForm(Enum):
    """The forms of a sparse file; they differ in the place of its map."""

    GNU_OLD = "GNU, in header blocks"
    PAX_0_0 = "pax 0.0, a record for each number"
    PAX_0_1 = "pax 0.1, one record"
    PAX_1_0 = "pax 1.0, before the data"


def encode_sparse(header: Header, segments: Segments, real_size: int, form: SparseForm) -> bytes:
    """A sparse file of `real_size` bytes: headers, map and data, padded.

    `segments` are offsets, each with its data. As in GNU tar, segments are filled up with zeros to
    whole blocks unless the file ends there, and an empty segment ends a file that ends in a hole.
    Raises ValueError if segments overlap or pass the end.
    """
    closed = _closed(segments, real_size)
    data = b"".join(part for _, part in closed)
    spans = [(offset, len(part)) for offset, part in closed]
    if form is SparseForm.GNU_OLD:
        return _encode_old(replace(header, size=len(data)), spans, real_size) + padded(data)
    if form is SparseForm.PAX_1_0:
        table = padded(b"".join(b"%d\n" % n for n in (len(spans), *_flat(spans))))
        major = (
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", header.name),
            ("GNU.sparse.realsize", b"%d" % real_size),
        )
        return _encode_pax(header, major, table + data, renamed=True)
    records: Records = (
        ("GNU.sparse.size", b"%d" % real_size),
        ("GNU.sparse.numblocks", b"%d" % len(spans)),
    )
    if form is SparseForm.PAX_0_1:
        table = b",".join(b"%d" % n for n in _flat(spans))
        records = (*records, ("GNU.sparse.name", header.name), ("GNU.sparse.map", table))
        return _encode_pax(header, records, data, renamed=True)
    for offset, length in spans:
        records = (
            *records,
            ("GNU.sparse.offset", b"%d" % offset),
            ("GNU.sparse.numbytes", b"%d" % length),
        )
    return _encode_pax(header, records, data, renamed=False)


def _closed(segments: Segments, real_size: int) -> list[tuple[int, bytes]]:
    closed = []
    ends = 0
    for offset, data in segments:
        if offset < ends or offset + len(data) > real_size:
            raise ValueError(f"the segment at {offset} overlaps another, or passes {real_size}")
        whole = padded(data)[: real_size - offset]
        closed.append((offset, whole))
        ends = offset + len(whole)
    if ends < real_size:
        closed.append((real_size, b""))
    return closed


def _encode_pax(header: Header, records: Records, data: bytes, *, renamed: bool) -> bytes:
    """With `renamed`, the block's name tells readers without sparse support what the file is."""
    directory, _, base = header.name.rpartition(b"/")
    name = b"/".join((directory or b".", b"GNUSparseFile.0", base)) if renamed else header.name
    whole = replace(header, name=name, size=len(data), records=(*header.records, *records))
    return encode_header(whole, TarFormat.PAX) + padded(data)


def _encode_old(header: Header, spans: list[tuple[int, int]], real_size: int) -> bytes:
    """Type `S`: four spans in the header, the others in blocks of 21."""
    full = encode_header(replace(header, typeflag=b"S"), TarFormat.GNU)
    before = full[: -len(encode_block(header, TarFormat.GNU))]
    block = bytearray(full[len(before) :])
    block[386:482] = _table(spans[:_IN_HEADER], _IN_HEADER)
    block[482:495] = bytes([len(spans) > _IN_HEADER]) + octal(real_size, 12)
    extensions = b""
    for start in range(_IN_HEADER, len(spans), _IN_EXTENSION):
        more = start + _IN_EXTENSION < len(spans)
        table = _table(spans[start : start + _IN_EXTENSION], _IN_EXTENSION)
        extensions += padded(table + bytes([more]))
    return before + with_checksum(bytes(block)) + extensions


def _table(spans: list[tuple[int, int]], room: int) -> bytes:
    table = b"".join(octal(n, 12) for n in _flat(spans))
    return table.ljust(room * 24, b"\0")


def _flat(spans: list[tuple[int, int]]) -> list[int]:
    return [number for span in spans for number in span]
