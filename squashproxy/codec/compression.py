"""The compression of a blob: finding it out, undoing it, and applying it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain

from squashproxy.codec import blocks, gzip, zstd
from squashproxy.codec.library import Library
from squashproxy.codec.rechunk import iter_even
from squashproxy.codec.zstd_level import PIECE
from squashproxy.oci.mediatypes import Compression
from squashproxy.span import Inflated
from squashproxy.streams import CHUNK


def sniff(start: bytes) -> Compression:
    """The compression of a blob that begins with these bytes.

    As in docker, the bytes decide, not the media type.
    """
    if start.startswith(gzip.MAGIC):
        return Compression.GZIP
    if start.startswith(zstd.MAGIC):
        return Compression.ZSTD
    if len(start) >= 4 and int.from_bytes(start[:4], "little") in zstd.SKIPPABLE:
        return Compression.ZSTD
    return Compression.NONE


def iter_decompressed(
    blob: Iterable[bytes],
    where: str,
    library: Library | None,
    *,
    on_rubbish: Callable[[int], None] = lambda _: None,
    max_window: int | None = None,
) -> Generator[Inflated, None, None]:
    """The tar in a blob, in chunks of at most 256 KiB; for gzip with their code.

    `where` names the blob in errors; without a `library` there is no code. `on_rubbish` is told how
    many bytes behind the last gzip member are ignored; `max_window` limits the memory of a zstd
    frame, in bytes (codec/zstd.py). Raises BadCompression and LimitExceeded. The blob is read to
    its end.
    """
    pieces = iter(blob)
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= 4:
            break
    whole = chain((start,), pieces)
    compression = sniff(start)
    if compression is Compression.GZIP and library is not None:
        yield from blocks.iter_inflated(whole, where, library, on_rubbish)
    elif compression is Compression.GZIP:
        yield from map(Inflated, gzip.iter_inflated(whole, where, on_rubbish))
    elif compression is Compression.ZSTD:
        counted = _Counted(whole)
        for content in zstd.iter_inflated(counted, where, max_window):
            yield Inflated(content, read=counted.size)
    else:
        yield from map(Inflated, _iter_split(whole))


def rubbish_text(where: str, count: int) -> str:
    """The warning about `count` bytes behind the gzip stream of the blob `where`."""
    what = "1 byte that is" if count == 1 else f"{count} bytes that are"
    return f"{where} ends with {what} no gzip; ignored, as docker does"


def iter_compressed(
    content: Iterable[bytes], compression: Compression, level: int | None, workers: int = 1
) -> Iterator[bytes]:
    """A blob that holds `content`, in chunks; `level` is zstd's, None for its default.

    `workers` is the number of threads that zstd may use; the blob does not depend on it.
    """
    if compression is Compression.GZIP:
        return gzip.iter_deflated(content)
    if compression is Compression.ZSTD:
        return _iter_split(zstd.iter_deflated(content, level or zstd.LEVEL, workers))
    return iter(content)


class _Counted:
    """A blob in even pieces of 256 KiB, counted as they are taken.

    The count decides the level of a new layer (zstd_level.py), so it must not depend on the
    network.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in iter_even(self._pieces, PIECE):
            self.size += len(piece)
            yield piece


def _iter_split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for at in range(0, len(chunk), CHUNK):
            yield chunk[at : at + CHUNK]
