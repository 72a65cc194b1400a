"""Splicing at its limits: streams that no encoder writes, spans that scanners do, and memory."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate

import pytest
from isal import igzip

from squashproxy.codec.block_finder import MOST
from squashproxy.codec.blocks import MAX_CHAIN, iter_inflated
from squashproxy.codec.deflater import WINDOW
from squashproxy.codec.library import Library
from squashproxy.codec.splicer import Splicer
from squashproxy.span import Inflated, Kept, New, Span
from squashproxy.testing import Packing, pack
from tests.codec.blobs import WHERE, iter_pieces
from tests.codec.encoders import ENCODERS, Encoder, each_encoder, giant_block, packed
from tests.codec.splicing import Part, expected, splice, whole
from tests.codec.test_splicer import CONTENT, FASTEST, LIBRARIES, blocks_of, unpacked

MIB = 1 << 20
HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
EMPTY_MEMBER = pack(b"", Packing.GZIP)
FOUR_EMPTY_BLOCKS = sum(0b010 << 10 * number for number in range(4)).to_bytes(5, "little")
"""Empty blocks of the fixed code have 10 bits, so that four of them are whole bytes."""

_AN_A = int(f"{0x30 + ord('a'):08b}"[::-1], 2)
FOUR_BLOCKS_OF_AN_A = sum((_AN_A << 3 | 0b010) << 18 * number for number in range(4)).to_bytes(
    9, "little"
)
"""A literal of the fixed code has 8 bits, the highest first, and the end of the block 7."""


def peak_of(work: Callable[[], object]) -> int:
    """The most memory that Python's objects took meanwhile."""
    tracemalloc.start()
    try:
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak


def inflate_all(blob: bytes, library: Library = FASTEST) -> int:
    """Inflate everything and keep nothing; the size of the content."""
    chunks = iter_inflated(iter_pieces(blob, 64 << 10), WHERE, library)
    return sum(len(chunk.content) for chunk in chunks)


def with_empty_blocks(content: bytes, count: int) -> bytes:
    """One member with `count` empty blocks in the middle of its content."""
    return with_code(content, FOUR_EMPTY_BLOCKS * (count // 4), b"")


def with_code(content: bytes, code: bytes, inner: bytes) -> bytes:
    """One member in whose middle `code` stands for `inner`."""
    half = len(content) // 2
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    before = deflater.compress(content[:half]) + deflater.flush(zlib.Z_FULL_FLUSH)
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    behind = deflater.compress(content[half:]) + deflater.flush()
    checked = content[:half] + inner + content[half:]
    trailer = struct.pack("<II", zlib.crc32(checked), len(checked))
    return HEADER + before + code + behind + trailer


def with_small_blocks(count: int) -> tuple[bytes, bytes]:
    """One member with `count` blocks of one byte in the middle, and its content."""
    half = len(CONTENT) // 2
    inner = b"a" * count
    content = CONTENT[:half] + inner + CONTENT[half:]
    return with_code(CONTENT, FOUR_BLOCKS_OF_AN_A * (count // 4), inner), content


def with_name(blob: bytes, name: bytes) -> bytes:
    """The same member with a file name in its header, which had none."""
    assert blob[3] == 0
    return blob[:3] + b"\x08" + blob[4:10] + name + b"\0" + blob[10:]


def wide_block(size: int) -> bytes:
    """`size` bytes 0xFF in a final block whose code spends 15 bits on each.

    The lengths of its codes, 1 to 14 for the bytes 0 to 13, 15 for 0xFF and the end of the block,
    and twice 1 for distances, are themselves written in 4 bits each.
    """
    symbols = [*range(1, 16), 18]
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
    low_first = [(0b101, 3), (0, 5), (1, 5), (15, 4), *((4 * (at in symbols), 3) for at in order)]
    bits = "".join(f"{value:0{width}b}"[::-1] for value, width in low_first)
    lengths = {length: f"{symbols.index(length):04b}" for length in symbols}
    bits += "".join(lengths[length] for length in range(1, 15))
    for zeros in (138, 103):
        bits += lengths[18] + f"{zeros - 11:07b}"[::-1]
    bits += lengths[15] * 2 + lengths[1] * 2
    eight = int(("1" * 14 + "0")[::-1] * 8, 2).to_bytes(15, "little")
    assert size % 8 == 0
    code = int.from_bytes(eight * (size // 8), "little") | 0x7FFF << 15 * size
    whole_code = code << len(bits) | int(bits[::-1], 2)
    return whole_code.to_bytes((len(bits) + 15 * size + 15 + 7) // 8, "little")


SMALL_BLOCKS, MUCH_CONTENT = with_small_blocks(200_000)

STRANGE: dict[str, tuple[bytes, bytes]] = {
    "empty members at both ends": (
        EMPTY_MEMBER * 3 + pack(CONTENT, Packing.GZIP) + EMPTY_MEMBER * 3,
        CONTENT,
    ),
    "a thousand empty members": (
        EMPTY_MEMBER * 1100 + pack(CONTENT, Packing.GZIP_MULTI) + EMPTY_MEMBER,
        CONTENT,
    ),
    "thousands of empty blocks": (with_empty_blocks(CONTENT, 6000), CONTENT),
    "just as many empty blocks as end a chunk": (with_empty_blocks(CONTENT, 1024), CONTENT),
    "more code in empty blocks than a chain may have": (
        with_empty_blocks(CONTENT, 300_000),
        CONTENT,
    ),
    "a block for each byte": (SMALL_BLOCKS, MUCH_CONTENT),
    "a block for each byte of a later member": (EMPTY_MEMBER + SMALL_BLOCKS, MUCH_CONTENT),
    "more code in empty blocks of a later member": (
        EMPTY_MEMBER + with_empty_blocks(CONTENT, 300_000),
        CONTENT,
    ),
    "a member for each byte": (
        b"".join(pack(bytes([byte]), Packing.GZIP) for byte in CONTENT[:1100]),
        CONTENT[:1100],
    ),
    "zeros between members": (
        bytes(90_000).join([pack(CONTENT, Packing.GZIP)] * 2) + bytes(90_000),
        CONTENT * 2,
    ),
    "members with long names": (
        with_name(pack(CONTENT, Packing.GZIP), b"n" * 90_000) * 2,
        CONTENT * 2,
    ),
}


@pytest.mark.parametrize(("blob", "content"), STRANGE.values(), ids=STRANGE)
def test_no_stream_is_too_strange_for_cuts_pieces_and_libraries(
    blob: bytes, content: bytes
) -> None:
    third = len(content) // 3
    for kept in ([(0, len(content))], [(0, third), (third, 2 * third)], [(third, len(content))]):
        part = Part(blob, content, kept)
        first = splice([part, part], FASTEST)
        assert unpacked(first.blob) == expected([part, part])
        for library in LIBRARIES:
            for size in (101, 1 << 24):
                assert splice([part, part], library, size) == first


@pytest.mark.parametrize("before", [b"", EMPTY_MEMBER], ids=["first member", "later member"])
@pytest.mark.parametrize(
    ("blob", "content"),
    [(with_empty_blocks(CONTENT, 400_000), CONTENT), (SMALL_BLOCKS, MUCH_CONTENT)],
    ids=["empty blocks", "blocks of a byte"],
)
def test_blocks_that_were_made_to_hurt_are_not_told_apart_one_by_one(
    before: bytes, blob: bytes, content: bytes
) -> None:
    """Each boundary costs microseconds, and half a megabyte holds 400,000; a cut looks for two."""
    stops = 0

    def inflate(stream: object, flush: int) -> int:
        nonlocal stops
        stops += 1
        return FASTEST.inflate(stream, flush)

    kept = [(at, at + 39_000) for at in range(0, len(content) - 40_000, 40_000)]
    part = Part(before + blob, content, kept)
    result = splice([part], replace(FASTEST, inflate=inflate))
    assert unpacked(result.blob) == part.left
    assert stops < 2 * MOST * len(kept)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_empty_blocks_do_not_fill_the_memory(library: Library) -> None:
    """Those of later members are noted one by one, in a few hundred bytes for ten bits."""
    for blob in (
        with_empty_blocks(CONTENT, 16 << 20),
        EMPTY_MEMBER + with_empty_blocks(CONTENT, 40_000),
    ):
        assert peak_of(lambda: inflate_all(blob, library)) < 4 * MIB  # noqa: B023 - called at once


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(with_name(pack(CONTENT, Packing.GZIP), b"n" * (12 * MIB)), id="a name"),
        pytest.param(pack(CONTENT, Packing.GZIP) + bytes(12 * MIB), id="padding"),
    ],
)
def test_what_is_no_code_is_not_held(blob: bytes) -> None:
    assert peak_of(lambda: inflate_all(blob)) < 2 * MIB


@pytest.mark.parametrize(
    ("blob", "is_copied"),
    [
        pytest.param(igzip.compress(bytes(MAX_CHAIN), 0), True, id="the most content"),
        pytest.param(igzip.compress(bytes(MAX_CHAIN + 1), 0), False, id="a byte too much content"),
        pytest.param(giant_block(MAX_CHAIN - 2), True, id="the most code"),
        pytest.param(giant_block(MAX_CHAIN - 1), False, id="a literal too much code"),
    ],
)
def test_a_block_is_copied_up_to_a_limit_of_content_and_of_code(
    blob: bytes, is_copied: bool
) -> None:
    [block] = blocks_of(blob)
    content = bytes(block.end)
    for size in (4096, 1 << 24):
        result = splice([whole(blob, content)], FASTEST, size)
        assert unpacked(result.blob) == content
        assert result.reencoded == (0 if is_copied else len(content))


@pytest.mark.parametrize("size", [3 * MIB, 7 * MIB, 11 * MIB])
def test_pieces_may_be_larger_than_the_code_that_is_held(size: int) -> None:
    content = random.Random(3).randbytes(MIB) * 23
    blob = pack(content, Packing.GZIP, 0)
    kept = [(0, 6 * MIB), (6 * MIB + 1, len(content))]
    part = Part(blob, content, kept)
    result = splice([part], FASTEST, size)
    assert unpacked(result.blob) == part.left
    assert result == splice([part], FASTEST)


def test_a_copy_is_written_before_a_wasteful_block_drives_its_code_out() -> None:
    wasteful = 3_700_000
    content = CONTENT + b"\xff" * wasteful
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    code = deflater.compress(CONTENT) + deflater.flush(zlib.Z_FULL_FLUSH) + wide_block(wasteful)
    blob = HEADER + code + struct.pack("<II", zlib.crc32(content), len(content))
    result = splice([whole(blob, content)], FASTEST, 64 << 10)
    assert unpacked(result.blob) == content
    assert result.reencoded == wasteful


def test_what_is_compressed_anew_refers_to_what_was_copied() -> None:
    noise = random.Random(4).randbytes(200_000)

    def spans() -> Iterator[Span]:
        [chunk] = _chunks(pack(noise, Packing.GZIP, 0))
        for at in range(0, len(noise), 10_000):
            yield Kept(0, at, memoryview(noise)[at : at + 10_000], (chunk,))
        yield New(noise[-30_000:-10_000])

    blob = b"".join(Splicer(FASTEST).iter_blob(spans()))
    assert unpacked(blob) == noise + noise[-30_000:-10_000]
    assert len(blob) < len(noise) + 1000


def test_small_stretches_of_many_chunks_do_not_keep_the_chunks() -> None:
    """As when directories stay whose large files are dropped."""

    def spans() -> Iterator[Kept]:
        for number in range(300):
            chunk = Inflated(bytes(256 << 10))
            yield Kept(0, number << 18, memoryview(chunk.content)[:512], (chunk,))

    assert peak_of(lambda: list(Splicer(FASTEST).iter_blob(spans()))) < 24 * MIB


@pytest.mark.parametrize("encoder", each_encoder(costly=False))
def test_chunks_of_which_nothing_stays_may_be_missing(encoder: Encoder) -> None:
    """Then their code is not there either."""
    part = Part(packed(encoder, CONTENT), CONTENT, [(0, 1000), (530_000, len(CONTENT))])
    for library in LIBRARIES:
        for size in (777, 1 << 20):
            assert unpacked(splice([part], library, size).blob) == part.left


def iter_straddling(blob: bytes, joined: int) -> Iterator[Span]:
    """All of a blob, as a scanner gives it whose headers lie across the ends of chunks."""
    chunks = list(iter_inflated(iter_pieces(blob, 5000), WHERE, FASTEST))
    starts = accumulate((len(chunk.content) for chunk in chunks), initial=0)
    for number, (chunk, start) in enumerate(zip(chunks, starts, strict=False)):
        view = memoryview(chunk.content)
        if number:
            before = chunks[number - 1]
            header = before.content[-joined:] + chunk.content[:joined]
            yield Kept(0, start - joined, memoryview(header), (before, chunk))
        low = joined if number else 0
        high = len(view) - joined if number < len(chunks) - 1 else len(view)
        yield Kept(0, start + low, view[low:high], (chunk,))


@pytest.mark.parametrize("joined", [1, 256, 70_000])
@pytest.mark.parametrize("name", ["zlib -6", "zlib -0", "zlib, little memory", "igzip -1"])
def test_a_span_that_is_cut_from_two_chunks_shapes_nothing(name: str, joined: int) -> None:
    blob = ENCODERS[name](CONTENT * 2)
    joined = min(joined, *(len(chunk.content) // 2 for chunk in _chunks(blob)))
    assert joined
    spliced = b"".join(Splicer(FASTEST).iter_blob(iter_straddling(blob, joined)))
    assert spliced == splice([whole(blob, CONTENT * 2)], FASTEST).blob


def _chunks(blob: bytes) -> Iterator[Inflated]:
    return iter_inflated(iter_pieces(blob, 256 << 10), WHERE, FASTEST)


def test_layers_without_code_stand_between_those_with_code() -> None:
    blob = pack(CONTENT, Packing.GZIP)

    def spans() -> Iterator[Kept]:
        for stream in range(5):
            offset = 0
            for chunk in _chunks(blob):
                source = chunk if stream % 2 else Inflated(chunk.content)
                yield Kept(stream, offset, memoryview(chunk.content), (source,))
                offset += len(chunk.content)

    splicer = Splicer(FASTEST)
    assert unpacked(b"".join(splicer.iter_blob(spans()))) == CONTENT * 5
    assert splicer.reencoded == 3 * len(CONTENT)


CUTS = {
    "within a block": lambda ends: (ends[2] + 1000, ends[2] + 2000),
    "a single byte": lambda ends: (ends[2] + 1000, ends[2] + 1001),
    "across blocks": lambda ends: (ends[1] + 1000, ends[3] + 1000),
    "just one block": lambda ends: (ends[1], ends[2]),
    "just two blocks": lambda ends: (ends[1], ends[3]),
    "up to a block": lambda ends: (ends[1] + 5000, ends[2]),
    "from a block on": lambda ends: (ends[1], ends[2] - 5000),
    "up to the window before a block": lambda ends: (ends[2] - WINDOW - 500, ends[2] - WINDOW),
    "a byte into the window before a block": lambda ends: (
        ends[2] - WINDOW - 500,
        ends[2] - WINDOW + 1,
    ),
    "the start": lambda _: (0, 1),
    "the end": lambda ends: (ends[-1] - 1, ends[-1]),
}


@pytest.mark.parametrize("encoder", ["zlib -6", "zlib -0", "libdeflate -6"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_cut_costs_the_blocks_that_it_touches_and_those_that_may_refer_across_it(
    encoder: str, cut: Callable[[list[int]], tuple[int, int]]
) -> None:
    blob = ENCODERS[encoder](CONTENT)
    blocks = blocks_of(blob)
    start, end = cut([block.end for block in blocks])
    assert start < end
    before = sum(
        start - block.start.offset for block in blocks if block.start.offset < start < block.end
    )
    behind = [
        block.end for block in blocks if block.end > end and block.start.offset < end + WINDOW
    ]
    part = Part(
        blob, CONTENT, [kept for kept in ((0, start), (end, len(CONTENT))) if kept[0] < kept[1]]
    )
    result = splice([part], FASTEST)
    assert unpacked(result.blob) == part.left
    assert result.reencoded == before + max(behind, default=end) - end
