"""Spans to blobs: other decoders read them, and only the bytes of the tar shape them."""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.codec.compression import iter_compressed
from squashproxy.codec.encoder import Recompressor
from squashproxy.codec.rechunk import BLOCK, iter_even
from squashproxy.oci.mediatypes import Compression
from squashproxy.span import Inflated, Kept, New, Span
from tests.codec.blobs import CONTENT, iter_pieces, unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

each_compression = pytest.mark.parametrize("compression", Compression, ids=lambda kind: kind.value)
LARGE = b"".join(CONTENT[at:] + CONTENT[:at] for at in range(0, 300_000, 60_000))
NOISE = random.Random(1).randbytes(5 << 20) * 4


def unpack(blob: bytes, compression: Compression) -> bytes:
    """By a decoder that is not ours."""
    if compression is Compression.GZIP:
        return gzip.decompress(blob)
    if compression is Compression.ZSTD:
        return zstd.decompress(blob)
    return blob


def iter_spans(tar: bytes, cuts: list[int]) -> Iterator[Span]:
    """The tar as spans that end at `cuts`, of a source and new by turns."""
    edges = [0, *sorted(cut % (len(tar) + 1) for cut in cuts), len(tar)]
    for number, (start, end) in enumerate(pairwise(edges)):
        data = tar[start:end]
        yield Kept(0, start, memoryview(data), (Inflated(data),)) if number % 2 else New(data)


def encode(spans: Iterator[Span], compression: Compression, level: int | None = None) -> bytes:
    return b"".join(Recompressor(compression, level).iter_blob(spans))


@each_compression
@pytest.mark.parametrize("tar", [LARGE, b"x", b""], ids=["large", "one byte", "nothing"])
def test_others_read_what_we_write(compression: Compression, tar: bytes) -> None:
    encoder = Recompressor(compression)
    blob = b"".join(encoder.iter_blob(iter([New(tar)])))
    assert unpack(blob, compression) == tar
    assert unpacked([blob]) == tar
    assert encoder.spliced == 0
    assert encoder.reencoded == (0 if compression is Compression.NONE else len(tar))


@each_compression
def test_no_spans_at_all(compression: Compression) -> None:
    encoder = Recompressor(compression)
    assert unpack(b"".join(encoder.iter_blob(iter([]))), compression) == b""


@each_compression
@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, len(LARGE)), max_size=20))
def test_the_spans_do_not_shape_the_blob(compression: Compression, cuts: list[int]) -> None:
    assert encode(iter_spans(LARGE, cuts), compression) == encode(
        iter_spans(LARGE, []), compression
    )


@each_compression
def test_many_small_spans_do_not_shape_the_blob(compression: Compression) -> None:
    small = iter_spans(LARGE, list(range(0, len(LARGE), 512)))
    assert encode(small, compression) == encode(iter([New(LARGE)]), compression)


@each_compression
def test_the_same_tar_gives_the_same_blob_each_time(compression: Compression) -> None:
    first = encode(iter([New(LARGE)]), compression)
    assert all(encode(iter([New(LARGE)]), compression) == first for _ in range(5))


def test_a_gzip_header_says_nothing_but_gzip() -> None:
    header = encode(iter([New(CONTENT)]), Compression.GZIP)[:10]
    assert header[:3] == b"\x1f\x8b\x08"
    assert header[3:8] == bytes(5), "no name, no comment, no time"


def test_a_zstd_frame_carries_a_checksum() -> None:
    blob = encode(iter([New(CONTENT)]), Compression.ZSTD)
    assert blob[4] & 0b100
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(blob[:-1] + bytes([blob[-1] ^ 1]))


def test_zstd_levels() -> None:
    sizes = {
        level: len(encode(iter([New(LARGE)]), Compression.ZSTD, level)) for level in (1, 3, 12, 19)
    }
    assert sizes[19] < sizes[12] < sizes[1]
    default = encode(iter([New(LARGE)]), Compression.ZSTD)
    assert default == encode(iter([New(LARGE)]), Compression.ZSTD, 3)
    for level in sizes:
        assert zstd.decompress(encode(iter([New(LARGE)]), Compression.ZSTD, level)) == LARGE


def test_gzip_knows_no_level() -> None:
    assert encode(iter([New(CONTENT)]), Compression.GZIP, 19) == encode(
        iter([New(CONTENT)]), Compression.GZIP
    )


@each_compression
def test_blobs_leave_in_chunks(compression: Compression) -> None:
    chunks = list(iter_compressed(iter_pieces(NOISE, BLOCK), compression, None))
    assert unpack(b"".join(chunks), compression) == NOISE
    assert all(chunks)
    assert max(map(len, chunks)) <= BLOCK + 1024


def test_zstd_jobs_in_threads_do_not_shape_the_blob() -> None:
    """A job of zstd's takes 8 MiB here."""
    first = encode(iter([New(NOISE)]), Compression.ZSTD)
    for cut in (512, 99_999, 1 << 20):
        spans = iter_spans(NOISE, list(range(cut, len(NOISE), cut)))
        assert encode(spans, Compression.ZSTD) == first


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 30))
def test_blocks_are_even_but_the_last(datas: list[bytes], size: int) -> None:
    blocks = list(iter_even(datas, size))
    assert b"".join(blocks) == b"".join(datas)
    assert all(len(block) == size for block in blocks[:-1])
    assert all(0 < len(block) <= size for block in blocks[-1:])


def test_a_span_larger_than_a_block_is_cut() -> None:
    blocks = list(iter_even([memoryview(LARGE)], BLOCK))
    assert [len(block) for block in blocks[:-1]] == [BLOCK] * (len(LARGE) // BLOCK)
