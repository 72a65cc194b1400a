"""The level of a new zstd layer: it is never larger than its bytes were in the source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from squashproxy.codec.compression import iter_decompressed
from squashproxy.codec.encoder import Recompressor
from squashproxy.codec.zstd_level import LEVELS, choose_level
from squashproxy.oci.mediatypes import Compression
from squashproxy.span import Kept, New, Span
from squashproxy.testing import Packing, pack
from tests.codec.blobs import WHERE, iter_pieces, unpacked
from tests.codec.splicing import some_content

CONTENT = some_content(8, 3_000_000)


def spans_of(blob: bytes, keeps: int = 1, size: int = 256 << 10) -> Iterator[Span]:
    """Every chunk of the blob, or every second one."""
    offset = 0
    for number, chunk in enumerate(iter_decompressed(iter_pieces(blob, size), WHERE, None)):
        if number % keeps == 0:
            yield Kept(0, offset, memoryview(chunk.content), (chunk,))
        offset += len(chunk.content)


def encoded(spans: Iterator[Span], workers: int = 1) -> bytes:
    encoder = Recompressor(Compression.ZSTD, keeps_share=True, workers=workers)
    return b"".join(encoder.iter_blob(spans))


@pytest.mark.parametrize("level", [1, 3, 6, 9, 15, 19])
def test_the_new_blob_is_no_larger_than_the_old_one(level: int) -> None:
    blob = pack(CONTENT, Packing.ZSTD, level)
    again = encoded(spans_of(blob))
    assert unpacked([again]) == CONTENT
    assert len(again) <= len(blob) * 1.001


@pytest.mark.parametrize("level", [3, 9, 19])
def test_a_half_of_the_content_weighs_no_more_than_its_share(level: int) -> None:
    blob = pack(CONTENT, Packing.ZSTD, level)
    half = sum(len(span.data) for span in spans_of(blob, keeps=2))
    again = encoded(spans_of(blob, keeps=2))
    assert len(again) <= len(blob) * half / len(CONTENT) * 1.02


def test_a_quick_source_is_made_quickly() -> None:
    assert choose_level(list(spans_of(pack(CONTENT, Packing.ZSTD, 1)))) == LEVELS[0]


def test_content_of_unknown_weight_gets_the_usual_level() -> None:
    assert choose_level([New(b"new")]) == LEVELS[0]
    assert choose_level([]) == LEVELS[0]


@pytest.mark.parametrize("size", [1000, 300_001, 1 << 24])
def test_neither_weight_nor_chunks_depend_on_how_the_source_arrived(size: int) -> None:
    blob = pack(CONTENT, Packing.ZSTD, 9)
    found = [(span.data, span.sources[0].read) for span in spans_of(blob) if isinstance(span, Kept)]
    again = spans_of(blob, size=size)
    assert [(span.data, span.sources[0].read) for span in again if isinstance(span, Kept)] == found


def test_the_blob_does_not_depend_on_the_number_of_workers() -> None:
    blob = pack(CONTENT, Packing.ZSTD, 9)
    assert encoded(spans_of(blob), workers=1) == encoded(spans_of(blob), workers=4)
