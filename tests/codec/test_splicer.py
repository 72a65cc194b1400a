"""Splicing: kept content is unchanged, only spans shape the bytes, every decoder reads them."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import deflate
import pytest
from _pytest.mark import ParameterSet
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip
from zlib_ng import gzip_ng

from squashproxy.codec.blocks import MAX_CHAIN, iter_inflated
from squashproxy.codec.deflater import WINDOW
from squashproxy.codec.library import Library, try_zlib, try_zlib_ng
from squashproxy.codec.splicer import Splicer
from squashproxy.span import Chain, Kept
from squashproxy.testing import Packing, pack
from tests.codec.blobs import WHERE, iter_pieces
from tests.codec.encoders import (
    COSTLY,
    ENCODERS,
    Encoder,
    each_encoder,
    giant_block,
    go_program,
    is_costly,
    packed,
    run,
)
from tests.codec.splicing import (
    BETWEEN,
    Part,
    Spliced,
    expected,
    some_content,
    some_stretches,
    splice,
    told_apart,
    whole,
)

CONTENT = some_content(1, 600_000)
SHORT = some_content(2, 120_000)
FEW_BYTES = 64
"""What a seam may cost: a header, empty blocks, a trailer."""
QUICK = {name: encoder for name, encoder in ENCODERS.items() if name not in COSTLY}


def _libraries() -> list[Library]:
    found = [try_zlib_ng(), try_zlib()]
    assert all(found), "both libraries are on every machine that runs the tests"
    return [library for library in found if library]


LIBRARIES = _libraries()
FASTEST = LIBRARIES[0]


def content_for(encoder: Encoder) -> bytes:
    """The content for an encoder; less for slow ones."""
    return SHORT if is_costly(encoder) else CONTENT


def unpacked(blob: bytes) -> bytes:
    """The content of a blob that must be one member and nothing else."""
    member = zlib.decompressobj(31)
    content = member.decompress(blob)
    assert member.eof
    assert not member.unused_data
    return content


def blocks_of(blob: bytes) -> list[Chain]:
    """All blocks, told apart."""
    chunks = iter_inflated(iter_pieces(blob, 256 << 10), WHERE, FASTEST)
    return [
        block
        for chunk in chunks
        for chain in chunk.chains
        for block in told_apart(blob, chain, FASTEST)
    ]


@settings(max_examples=20)
@given(data=st.data())
def test_inflating_the_splice_gives_what_stays_and_only_spans_shape_the_bytes(
    data: st.DataObject,
) -> None:
    check_splice(data)


@pytest.mark.long
@settings(max_examples=200)
@given(data=st.data())
def test_so_it_does_with_many_more(data: st.DataObject) -> None:
    check_splice(data)


def check_splice(data: st.DataObject) -> None:
    """Splice some parts, in pieces of any size and with every library."""
    parts = []
    for _ in range(data.draw(st.integers(1, 3), "parts")):
        encoder = data.draw(st.sampled_from(sorted(QUICK)), "encoder")
        seed = data.draw(st.integers(0, 999), "seed")
        content = some_content(seed, data.draw(st.sampled_from([1, 900, 60_000, 400_000]), "size"))
        cuts = data.draw(st.sampled_from([0, 0, 1, 3, 12]), "cuts")
        kept = some_stretches(seed, len(content), cuts)
        parts.append(Part(QUICK[encoder](content), content, kept))
    first = splice(parts, FASTEST)
    assert unpacked(first.blob) == expected(parts)
    length = sum(len(part.blob) for part in parts)
    for size in (
        1 if length < 60_000 else 999,
        data.draw(st.integers(2, 70_000), "piece"),
        1 << 24,
    ):
        for library in LIBRARIES:
            assert splice(parts, library, size) == first


@pytest.mark.parametrize("encoder", each_encoder())
def test_without_a_cut_every_block_is_copied(encoder: Encoder) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    result = splice([whole(blob, content)], FASTEST)
    assert unpacked(result.blob) == content
    assert result.reencoded == 0
    assert result.spliced > 0
    members = sum(block.is_final for block in blocks_of(blob))
    assert len(result.blob) <= len(blob) + FEW_BYTES * members


@pytest.mark.parametrize("encoder", each_encoder())
def test_with_cuts_what_stays_is_right_for_every_encoder(encoder: Encoder) -> None:
    content = content_for(encoder)
    blob = packed(encoder, content)
    for cuts in (1, 2, 7, 40):
        part = Part(blob, content, some_stretches(cuts, len(content), cuts))
        results = [
            splice([part], library, size) for library in LIBRARIES for size in (777, 1 << 20)
        ]
        assert unpacked(results[0].blob) == part.left
        assert all(result == results[0] for result in results)


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
def test_a_cut_costs_no_more_than_the_blocks_around_it(encoder: Encoder) -> None:
    blob = packed(encoder, CONTENT)
    largest = max(block.end - block.start.offset for block in blocks_of(blob))
    middle = len(CONTENT) // 2
    part = Part(blob, CONTENT, [(0, middle), (middle + 1, len(CONTENT))])
    result = splice([part], FASTEST)
    assert unpacked(result.blob) == part.left
    assert result.reencoded <= largest + WINDOW + largest


def test_members_that_begin_behind_a_cut_are_copied_from_their_first_block_on() -> None:
    blob = pack(CONTENT, Packing.GZIP_MULTI)
    part = Part(blob, CONTENT, [(100_000, len(CONTENT))])
    result = splice([part], FASTEST)
    assert unpacked(result.blob) == part.left
    assert result.reencoded == 0


def test_a_stretch_across_members_that_both_are_cut() -> None:
    blob = pack(CONTENT, Packing.GZIP_MULTI)
    part = Part(blob, CONTENT, [(50_000, 250_000), (250_001, 400_000)])
    assert unpacked(splice([part], FASTEST).blob) == part.left


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
def test_bytes_of_our_own_between_neighbours_end_what_code_may_refer_to(encoder: Encoder) -> None:
    blob = packed(encoder, CONTENT)
    edges = {0, *(block.end for block in blocks_of(blob)[3:90:7]), 500_000, len(CONTENT)}
    part = Part(blob, CONTENT, list(pairwise(sorted(edges))))
    assert part.left.count(BETWEEN) == len(part.kept) - 1
    assert unpacked(splice([part], FASTEST).blob) == part.left


def test_nothing_at_all_is_an_empty_member() -> None:
    assert unpacked(splice([], FASTEST).blob) == b""


def test_the_same_layer_a_second_time_is_another_stream() -> None:
    part = whole(pack(CONTENT, Packing.GZIP), CONTENT)
    result = splice([part, part, part], FASTEST)
    assert unpacked(result.blob) == expected([part, part, part])


def test_a_block_that_grows_too_large_is_compressed_anew_in_bounded_memory() -> None:
    content = bytes(MAX_CHAIN + 300_000)
    blob = giant_block(len(content))
    assert [(block.start.offset, block.end) for block in blocks_of(blob)] == [(0, len(content))]
    results: list[Spliced] = []
    for size in (100, 1 << 20):
        tracemalloc.start()
        results.append(splice([whole(blob, content)], FASTEST, size))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * MAX_CHAIN
    assert unpacked(results[0].blob) == content
    assert results[0] == results[1]
    assert results[0].spliced == 0


def test_small_stretches_of_one_giant_block_do_not_pile_up_its_code() -> None:
    content = some_content(3, 40_000) * 700
    blob = pack(content, Packing.GZIP, 0)
    splicer = Splicer(FASTEST)

    def spans() -> Iterator[Kept]:
        offset = 0
        for chunk in iter_inflated(iter_pieces(blob, 256 << 10), WHERE, FASTEST):
            yield Kept(0, offset, memoryview(chunk.content)[:10], (chunk._replace(chains=()),))
            offset += len(chunk.content)

    tracemalloc.start()
    for _ in splicer.iter_blob(spans()):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content) > 25 << 20
    assert peak < 16 << 20


def each_reader() -> list[ParameterSet]:
    readers: dict[str, Callable[[bytes], bytes]] = {
        "Python's gzip": gzip.decompress,
        "zlib-ng": gzip_ng.decompress,
        "igzip": igzip.decompress,
        "libdeflate": lambda blob: bytes(deflate.gzip_decompress(blob)),
    }
    programs: dict[str, Callable[[bytes], bytes]] = {
        "pigz": partial(run, ["pigz", "-d", "-c"]),
        "Go": lambda blob: run([go_program(), "-d"], blob),
    }
    return [
        *(pytest.param(reader, id=name) for name, reader in readers.items()),
        *(
            pytest.param(reader, id=name, marks=pytest.mark.real)
            for name, reader in programs.items()
        ),
    ]


@pytest.mark.parametrize("read", each_reader())
@pytest.mark.parametrize("encoder", each_encoder())
def test_every_reader_reads_the_splice_of_every_encoder(
    encoder: Encoder, read: Callable[[bytes], bytes]
) -> None:
    part = Part(packed(encoder, SHORT), SHORT, some_stretches(5, len(SHORT), 3))
    assert read(splice([part], FASTEST).blob) == part.left
