"""Encoders: from the merge's spans to a blob."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from squashproxy.codec.compression import iter_compressed
from squashproxy.codec.library import Library
from squashproxy.codec.rechunk import iter_even
from squashproxy.codec.splicer import Splicer
from squashproxy.codec.zstd_level import choose_level, take_sample
from squashproxy.digest import Chunk
from squashproxy.oci.mediatypes import Compression
from squashproxy.span import Span


class Encoder(Protocol):
    """Turns spans into a blob, once. Its properties are valid when the blob was read."""

    def iter_blob(self, spans: Iterable[Span]) -> Iterator[Chunk]:
        """The blob, in chunks."""
        ...

    @property
    def spliced(self) -> int:
        """The bytes of the blob that were copied compressed."""
        ...

    @property
    def reencoded(self) -> int:
        """The bytes of the tar that were compressed again."""
        ...


def encoder_for(
    compression: Compression,
    level: int | None,
    library: Library | None,
    *,
    keeps_share: bool,
    workers: int,
) -> Encoder:
    """The encoder for a compression. gzip is spliced where a `library` can find its blocks.

    With `keeps_share`, zstd's level is the lowest that compresses as well as the sources
    (zstd_level.py).
    """
    if compression is Compression.GZIP and library is not None:
        return Splicer(library)
    return Recompressor(compression, level, keeps_share=keeps_share, workers=workers)


class Recompressor:
    """Compresses everything again, with `workers` threads where the library supports that."""

    def __init__(
        self,
        compression: Compression,
        level: int | None = None,
        *,
        keeps_share: bool = False,
        workers: int = 1,
    ) -> None:
        self._compression = compression
        self._level = level
        self._keeps_share = keeps_share and compression is Compression.ZSTD
        self._workers = workers
        self._size = 0

    def iter_blob(self, spans: Iterable[Span]) -> Iterator[Chunk]:
        """The blob, in chunks."""
        level = self._level
        if self._keeps_share:
            sample, spans = take_sample(spans)
            level = choose_level(sample)
        return iter_compressed(self._iter_counted(spans), self._compression, level, self._workers)

    def _iter_counted(self, spans: Iterable[Span]) -> Iterator[bytes]:
        for block in iter_even(span.data for span in spans):
            self._size += len(block)
            yield block

    @property
    def spliced(self) -> int:
        """Always 0."""
        return 0

    @property
    def reencoded(self) -> int:
        """The size of the whole tar."""
        return self._size if self._compression is not Compression.NONE else 0
