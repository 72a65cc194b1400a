"""Tars made on the fly, with content that compresses to about a half, as programs do."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

MIB = 1 << 20
_SEGMENT = 4 << 10
_POOL = 8 * MIB
_BATCH = 256 << 10
_END = bytes(1024)
_ALPHABET = bytes(range(97, 113)) * 16


class Pool:
    """A stretch of bytes; every file's content is cut from it, at a place that its name decides."""

    def __init__(self) -> None:
        noise = random.Random(4)
        pool = bytearray()
        while len(pool) < _POOL:
            if len(pool) > 5 * _SEGMENT and noise.random() < 0.4:
                back = noise.randrange(_SEGMENT, 5 * _SEGMENT)
                start = len(pool) - back
                pool += pool[start : start + _SEGMENT]
            else:
                pool += noise.randbytes(_SEGMENT).translate(_ALPHABET)
        self._bytes = bytes(pool) * 2

    def iter_content(self, number: int, size: int) -> Iterator[bytes]:
        """The `size` bytes of file `number`."""
        start = number * 7919 * 512 % _POOL
        while size:
            step = min(size, _POOL)
            yield self._bytes[start : start + step]
            size -= step


def header(name: str, size: int, typeflag: bytes = b"0") -> bytes:
    """A ustar header, as GNU tar writes it for root."""
    block = b"".join(
        (
            name.encode().ljust(100, b"\0"),
            b"0000755\0" if typeflag == b"5" else b"0000644\0",
            b"0000000\0" * 2,
            b"%011o\0" % size,
            b"14524770400\0",
            b" " * 8,
            typeflag,
            bytes(100),
            b"ustar\x0000",
        )
    ).ljust(512, b"\0")
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def iter_file(name: str, content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """One file's entry."""
    yield header(name, size)
    yield from content
    yield bytes(-size % 512)


def iter_whiteout(name: str) -> Iterator[bytes]:
    """An entry that hides `name`."""
    folder, slash, base = name.rpartition("/")
    yield header(f"{folder}{slash}.wh.{base}", 0)


def iter_tar(entries: Iterable[Iterator[bytes]]) -> Iterator[bytes]:
    """A tar of these entries, in chunks that are worth compressing."""
    batch: list[bytes] = []
    held = 0
    for entry in entries:
        for piece in entry:
            batch.append(piece)
            held += len(piece)
        if held >= _BATCH:
            yield b"".join(batch)
            batch, held = [], 0
    yield b"".join([*batch, _END])
