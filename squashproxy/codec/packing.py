"""Which packing a blob has, and the tar inside it; and the way back."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain

from squashproxy.codec import gzip, zstd
from squashproxy.oci.mediatypes import Compression

_CHUNK = 256 << 10


def sniff(start: bytes) -> Compression:
    """The packing of a blob that starts so; its bytes decide, as for docker, not its media type."""
    if start.startswith(gzip.MAGIC):
        return Compression.GZIP
    if start.startswith(zstd.MAGIC):
        return Compression.ZSTD
    if len(start) >= 4 and int.from_bytes(start[:4], "little") in zstd.SKIPPABLE:
        return Compression.ZSTD
    return Compression.NONE


def iter_unpacked(blob: Iterable[bytes], where: str) -> Generator[bytes, None, None]:
    """The tar in a blob, in chunks of at most 256 KiB.

    `where` names the blob in errors. Raises BadCompression. The blob is read to its end.
    """
    chunks = iter(blob)
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= 4:
            break
    whole = chain((start,), chunks)
    packing = sniff(start)
    if packing is Compression.GZIP:
        yield from gzip.iter_inflated(whole, where)
    elif packing is Compression.ZSTD:
        yield from zstd.iter_inflated(whole, where)
    else:
        yield from _iter_split(whole)


def iter_packed(
    blocks: Iterable[bytes], packing: Compression, level: int | None
) -> Iterator[bytes]:
    """A blob that holds `blocks`, in chunks; `level` is zstd's, None for its default."""
    if packing is Compression.GZIP:
        return gzip.iter_deflated(blocks)
    if packing is Compression.ZSTD:
        return _iter_split(zstd.iter_deflated(blocks, level or zstd.LEVEL))
    return iter(blocks)


def _iter_split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for at in range(0, len(chunk), _CHUNK):
            yield chunk[at : at + _CHUNK]
