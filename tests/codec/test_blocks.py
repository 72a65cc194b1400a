"""Blocks: where each begins and ends, in the blob and in the content."""

from __future__ import annotations

import zlib
from itertools import pairwise

import pytest

from squashproxy.codec.bits import BitWriter
from squashproxy.codec.blocks import MANY, iter_inflated
from squashproxy.codec.library import Library
from squashproxy.span import Block, Inflated
from tests.codec.blobs import CHUNK, WHERE, iter_pieces
from tests.codec.encoders import Encoder, each_encoder, packed
from tests.codec.test_splicer import FASTEST, LIBRARIES, content_for


def inflated(blob: bytes, library: Library = FASTEST, size: int = 256 << 10) -> list[Inflated]:
    return list(iter_inflated(iter_pieces(blob, size), WHERE, library))


def alone(blob: bytes, block: Block, window: bytes) -> bytes:
    """What a block inflates to by itself, with what stands before it in its member."""
    bits = BitWriter()
    code = memoryview(blob)[block.first_bit >> 3 : (block.end_bit + 7) >> 3]
    bits.copy([code], block.first_bit & 7, block.end_bit & 7, clears_final=block.is_final)
    bits.end_stream()
    inflater = zlib.decompressobj(-15, zdict=window)
    return inflater.decompress(b"".join(bits.take())) + inflater.flush()


@pytest.mark.parametrize("encoder", each_encoder())
def test_a_block_cut_out_of_the_blob_inflates_to_its_stretch_of_the_content(
    encoder: Encoder,
) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    blocks = [block for chunk in inflated(blob) for block in chunk.blocks]
    assert blocks[0].start == 0
    assert blocks[-1].end == len(content)
    assert all(one.end == next_.start for one, next_ in pairwise(blocks))
    for block in blocks[:: max(1, len(blocks) // 40)]:
        window = content[max(block.window, block.start - (32 << 10)) : block.start]
        assert alone(blob, block, window) == content[block.start : block.end]


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
def test_neither_pieces_nor_libraries_shape_chunks_and_blocks(encoder: Encoder) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    first = [(chunk.content, chunk.blocks) for chunk in inflated(blob)]
    assert all(len(part) == CHUNK or len(blocks) == MANY for part, blocks in first[:-1])
    for library in LIBRARIES:
        for size in (13, 4096, 1 << 24):
            again = [(chunk.content, chunk.blocks) for chunk in inflated(blob, library, size)]
            assert again == first


def test_every_chunk_brings_the_code_that_its_blocks_are_made_of() -> None:
    content = bytes(range(256)) * 6000
    blob = zlib.compress(content, 0, wbits=31)
    for chunk in inflated(blob, size=1000):
        held = dict(chunk.code)
        for block in chunk.blocks:
            last = (block.end_bit - 1) >> 3
            assert any(at <= last < at + len(piece) for at, piece in held.items())
