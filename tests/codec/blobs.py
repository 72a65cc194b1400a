"""Blobs for the codec's tests: some content, and ways to take it apart."""

from __future__ import annotations

import random
import sys
from collections.abc import Generator, Iterable, Iterator

import pytest
from zlib_ng import zlib_ng

from squashproxy.codec.compression import iter_decompressed
from squashproxy.codec.library import Library, find_library, try_zlib, try_zlib_ng
from squashproxy.testing import Packing, pack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WHERE = "layer 3"


def _some_content() -> bytes:
    noise = random.Random(7)
    words = [noise.randbytes(6) for _ in range(500)]
    return b"".join(noise.choice(words) for _ in range(60_000))


CONTENT = _some_content()
"""350 kB that compress to a half: more than one chunk, more than one member."""

EMPTY_MEMBER = pack(b"", Packing.GZIP)
EMPTY_FRAME = zstd.compress(b"")
LIBRARIES = (try_zlib_ng(), try_zlib(), None)
"""All that blocks can be seen with, the usual one first; None is Python's module, which cannot."""
each_library = pytest.mark.parametrize(
    "library", LIBRARIES, ids=lambda library: library.name if library else "no library"
)
SKIPPABLE_FRAME = b"\x5f\x2a\x4d\x18\x03\0\0\0abc"


def iter_pieces(blob: bytes, size: int) -> Iterator[bytes]:
    """The blob in pieces of `size` bytes."""
    return (blob[at : at + size] for at in range(0, len(blob), size))


def iter_contents(blob: Iterable[bytes], library: Library | None) -> Generator[bytes, None, None]:
    """The tar in a blob, chunk by chunk."""
    return (chunk.content for chunk in iter_decompressed(blob, WHERE, library))


def unpacked(blob: Iterable[bytes]) -> bytes:
    """The tar in a blob, by the library that is used."""
    return b"".join(iter_contents(blob, find_library()))


def gzip_of(content: bytes) -> bytes:
    """One gzip member."""
    return pack(content, Packing.GZIP)


def zstd_of(content: bytes) -> bytes:
    """One zstd frame."""
    return pack(content, Packing.ZSTD)


def iter_gzip_zeros(size: int) -> Iterator[bytes]:
    """A gzip member of `size` zero bytes, whole MiB, a thousandth as long."""
    encoder = zlib_ng.compressobj(6, zlib_ng.DEFLATED, 31)
    block = bytes(1 << 20)
    for _ in range(size >> 20):
        yield encoder.compress(block)
    yield encoder.flush()


def iter_zstd_zeros(size: int) -> Iterator[bytes]:
    """The same as a zstd frame."""
    encoder = zstd.ZstdCompressor()
    block = bytes(1 << 20)
    for _ in range(size >> 20):
        yield encoder.compress(block)
    yield encoder.flush()
