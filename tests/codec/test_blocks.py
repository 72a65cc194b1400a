"""Chains: where each begins and ends, in the blob and in the content; and the blocks inside."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise

import pytest

from squashproxy.codec.bits import BitWriter
from squashproxy.codec.blocks import MANY, iter_inflated
from squashproxy.codec.deflater import WINDOW
from squashproxy.codec.library import Library
from squashproxy.span import Chain, Inflated
from squashproxy.streams import CHUNK
from squashproxy.testing import Packing, pack
from tests.codec.blobs import WHERE, iter_pieces
from tests.codec.encoders import Encoder, each_encoder, packed
from tests.codec.splicing import told_apart
from tests.codec.test_splicer import FASTEST, LIBRARIES, blocks_of, content_for

LONG = random.Random(6).randbytes(3 << 20)


def inflated(blob: bytes, library: Library = FASTEST, size: int = 256 << 10) -> list[Inflated]:
    return list(iter_inflated(iter_pieces(blob, size), WHERE, library))


def chains_of(blob: bytes) -> list[Chain]:
    return [chain for chunk in inflated(blob) for chain in chunk.chains]


def alone(blob: bytes, chain: Chain, window: bytes) -> bytes:
    """What a chain inflates to by itself, with what stands before it in its member."""
    bits = BitWriter()
    code = memoryview(blob)[chain.start.bit >> 3 : (chain.end_bit + 7) >> 3]
    bits.copy([code], chain.start.bit & 7, chain.end_bit & 7, clears_final=chain.is_final)
    bits.end_stream()
    inflater = zlib.decompressobj(-15, zdict=window)
    return inflater.decompress(b"".join(bits.take())) + inflater.flush()


@pytest.mark.parametrize("encoder", each_encoder())
def test_a_chain_cut_out_of_the_blob_inflates_to_its_stretch_of_the_content(
    encoder: Encoder,
) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    chains = chains_of(blob)
    assert chains[0].start.offset == 0
    assert chains[-1].end == len(content)
    assert all(one.end == next_.start.offset for one, next_ in pairwise(chains))
    for chain in chains:
        offset = chain.start.offset
        window = content[max(chain.start.window, offset - WINDOW) : offset]
        if chain.is_block or not chain.is_final:
            assert alone(blob, chain, window) == content[offset : chain.end]


@pytest.mark.parametrize("encoder", each_encoder())
def test_the_blocks_of_a_chain_are_those_that_it_is_made_of(encoder: Encoder) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    for chain in chains_of(blob):
        blocks = told_apart(blob, chain, FASTEST)
        assert all(block.is_block for block in blocks)
        assert blocks[0].start == chain.start
        assert (blocks[-1].end, blocks[-1].is_final) == (chain.end, chain.is_final)
        assert all((one.end, one.end_bit) == next_.start[:2] for one, next_ in pairwise(blocks))
        padding = chain.end_bit - blocks[-1].end_bit
        assert 0 <= padding < (8 if chain.is_final and not chain.is_block else 1)
        assert all(told_apart(blob, chain, library) == blocks for library in LIBRARIES)
    for block in blocks_of(blob)[:: max(1, len(blocks_of(blob)) // 40)]:
        offset = block.start.offset
        window = content[max(block.start.window, offset - WINDOW) : offset]
        assert alone(blob, block, window) == content[offset : block.end]


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
def test_neither_pieces_nor_libraries_shape_chunks_and_chains(encoder: Encoder) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    first = [(chunk.content, chunk.chains, chunk.begun) for chunk in inflated(blob)]
    assert all(len(part) == CHUNK or len(chains) == MANY for part, chains, _ in first[:-1])
    for library in LIBRARIES:
        for size in (13, 4096, 1 << 24):
            chunks = inflated(blob, library, size)
            assert [(chunk.content, chunk.chains, chunk.begun) for chunk in chunks] == first


def test_few_boundaries_are_looked_for_in_the_first_member_and_all_in_others() -> None:
    one = pack(LONG, Packing.GZIP)
    assert len(blocks_of(one)) > 60
    assert 8 < len(chains_of(one)) < 13
    several = chains_of(one + one)
    assert [chain.is_block for chain in several].count(True) == len(blocks_of(one))


@pytest.mark.parametrize("size", [1000, 64 << 10, 1 << 24])
def test_every_chunk_brings_the_code_of_its_chains_and_of_the_one_under_way(size: int) -> None:
    blob = pack(LONG, Packing.GZIP)
    position = 0
    for chunk in inflated(blob, size=size):
        held = dict(chunk.code)
        position += len(chunk.content)
        needed = [(chain.start.bit >> 3, (chain.end_bit - 1) >> 3) for chain in chunk.chains]
        if chunk.begun is not None:
            assert chunk.begun.offset < position
            needed.append((chunk.begun.bit >> 3, chunk.begun.bit >> 3))
        first = min(low for low, _ in needed)
        last = max(high for _, high in needed)
        whole = b"".join(held[at] for at in sorted(held))
        assert min(held) <= first
        assert whole[first - min(held) : last + 1 - min(held)] == blob[first : last + 1]
