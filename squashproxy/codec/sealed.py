"""Sealed records: compressed bytes that say what they are and carry their own digest.

A record is laid out as follows; numbers are little-endian.

1. `SQPR`, four bytes.
2. The length of the label, in two bytes, and the label: kind, version and subject, as text.
3. The length of the content in bytes, before compression, in eight bytes.
4. The SHA-256 of parts 2, 3 and 5, in 32 bytes.
5. The content as one zstd frame.

Columns of numbers inside are little-endian, too (`packed_column`).

The digest finds damage; whoever can write a record can give it a right one. So what is inside is
still to be checked by its reader.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from array import array
from collections.abc import Iterable

from squashproxy.codec import zstd
from squashproxy.errors import BadCompression, FormatError
from squashproxy.streams import CHUNK

_MAGIC = b"SQPR"
_LABEL_LENGTH = struct.Struct("<H")
_CONTENT_LENGTH = struct.Struct("<Q")
_DIGEST_SIZE = 32


def seal(label: str, content: Iterable[bytes | array[int]]) -> bytes:
    """A record of `content`, given in any pieces; the same content gives the same bytes."""
    pieces = [memoryview(piece).cast("B") for piece in content if piece]
    name = label.encode()
    head = (
        _LABEL_LENGTH.pack(len(name))
        + name
        + _CONTENT_LENGTH.pack(sum(piece.nbytes for piece in pieces))
    )
    blocks = (
        bytes(piece[at : at + CHUNK]) for piece in pieces for at in range(0, piece.nbytes, CHUNK)
    )
    packed = b"".join(zstd.iter_deflated(blocks, zstd.LEVEL, workers=1))
    return b"".join((_MAGIC, head, _digest_of(head, packed), packed))


def unseal(label: str, record: bytes, most: int) -> bytearray:
    """The content of a record with this label, of at most `most` bytes.

    Raises FormatError for anything else. What `record` claims costs no memory before it is proven.
    """
    view = memoryview(record)
    name = label.encode()
    start = len(_MAGIC) + _LABEL_LENGTH.size + len(name)
    if view[:start] != _MAGIC + _LABEL_LENGTH.pack(len(name)) + name:
        raise FormatError(f"is no record of the {label}")
    body = start + _CONTENT_LENGTH.size + _DIGEST_SIZE
    if len(view) < body:
        raise FormatError("is cut short")
    (length,) = _CONTENT_LENGTH.unpack_from(view, start)
    head, packed = view[len(_MAGIC) : start + _CONTENT_LENGTH.size], view[body:]
    if view[body - _DIGEST_SIZE : body] != _digest_of(head, packed):
        raise FormatError("has another digest than it says")
    if length > most:
        raise FormatError(f"holds more than {most} bytes")
    return _inflated(bytes(packed), length)


def packed_column(column: array[int]) -> array[int]:
    """A column of numbers as it is in records: little-endian."""
    if sys.byteorder == "little":
        return column
    swapped = column[:]
    swapped.byteswap()
    return swapped


def unpacked_column(code: str, data: bytes | memoryview) -> array[int]:
    """The column of that type code in `data`, whose length is a multiple of the items' size."""
    column = array(code)
    column.frombytes(data)
    return packed_column(column)


def _digest_of(head: bytes | memoryview, packed: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(packed)
    return digest.digest()


def _inflated(packed: bytes, length: int) -> bytearray:
    content = bytearray()
    try:
        for chunk in zstd.iter_inflated([packed], "it"):
            content += chunk
            if len(content) > length:
                break
    except BadCompression as error:
        raise FormatError(error.fact) from error
    if len(content) != length:
        raise FormatError("holds another number of bytes than it says")
    return content
