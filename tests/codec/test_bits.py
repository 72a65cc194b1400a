"""Bits: code copied to any place in a byte, and the empty blocks that bring it there."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from isal import isal_zlib

from squashproxy.codec.bits import _ODD_EMPTY, BitWriter
from squashproxy.testing import Packing, pack
from tests.codec.test_splicer import blocks_of

TEXT = b"to be or not to be, that is the question; " * 5
Inflate = Callable[..., bytes]
each_inflate = pytest.mark.parametrize(
    "inflate", [zlib.decompress, isal_zlib.decompress], ids=["zlib", "igzip"]
)


def code() -> tuple[int, int]:
    """A block that inflates to TEXT: its bits as a number, the first one lowest; their count."""
    blob = pack(TEXT, Packing.GZIP_FIXED)
    [block] = blocks_of(blob)
    count = block.end_bit - block.start.bit
    return int.from_bytes(blob, "little") >> block.start.bit & (1 << count) - 1, count


def copy(writer: BitWriter, first: int) -> None:
    """Copy the block, placed from bit `first` of a byte on, among other bits, in two pieces."""
    bits, count = code()
    end = first + count
    placed = (bits << first | (1 << first) - 1 | 0xFF << end).to_bytes((end + 15) // 8, "little")
    view = memoryview(placed)[: (end + 7) >> 3]
    writer.copy([view[:3], view[3:]], first, end & 7, clears_final=True)


@each_inflate
@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("before", range(8))
def test_code_from_any_bit_goes_behind_code_that_ends_on_any_bit(
    before: int, first: int, inflate: Inflate
) -> None:
    writer = BitWriter()
    copy(writer, before)
    copy(writer, first)
    writer.end_stream()
    assert inflate(b"".join(writer.take()), -15) == TEXT * 2


@each_inflate
def test_whole_bytes_can_follow_code(inflate: Inflate) -> None:
    writer = BitWriter()
    for first in range(8):
        copy(writer, first)
        writer.end_byte()
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        writer.put_bytes(deflater.compress(TEXT) + deflater.flush(zlib.Z_SYNC_FLUSH))
    writer.end_stream()
    assert inflate(b"".join(writer.take()), -15) == TEXT * 16


@pytest.mark.parametrize("first", range(8))
def test_code_may_be_copied_in_two_parts_that_meet_on_any_bit(first: int) -> None:
    bits, count = code()
    placed = (bits << first).to_bytes((first + count + 7) // 8, "little")
    end = first + count
    for middle in range(first + 1, end):
        writer = BitWriter()
        copied = bytearray()
        for low, high in ((first, middle), (middle, end)):
            view = memoryview(placed)[low >> 3 : (high + 7) >> 3]
            writer.copy([view], low & 7, high & 7, clears_final=low == first)
            copied += b"".join(writer.take())
        writer.end_stream()
        assert zlib.decompress(copied + b"".join(writer.take()), -15) == TEXT


def test_whole_bytes_cannot_be_added_within_a_byte() -> None:
    writer = BitWriter()
    copy(writer, 0)
    assert (code()[1]) % 8
    with pytest.raises(AssertionError, match="incomplete"):
        writer.put_bytes(b"x")


def test_every_byte_goes_out_once() -> None:
    writer = BitWriter()
    writer.put_bytes(b"ab")
    writer.put_bytes(b"")
    writer.put_bytes(b"c")
    assert b"".join(writer.take()) == b"abc"
    assert writer.take() == []


@each_inflate
def test_the_odd_block_has_95_bits_and_no_content(inflate: Inflate) -> None:
    bits, count = _ODD_EMPTY
    assert count == 95
    writer = BitWriter()
    writer._put(bits, count)
    writer.end_stream()
    assert inflate(b"".join(writer.take()), -15) == b""


@each_inflate
def test_a_stream_of_nothing(inflate: Inflate) -> None:
    writer = BitWriter()
    writer.end_stream()
    assert inflate(b"".join(writer.take()), -15) == b""
