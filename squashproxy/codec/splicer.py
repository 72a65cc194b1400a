"""Splicer: from spans to gzip, with deflate blocks copied as they are wherever that is allowed.

A block may be copied when the 32 KiB before it are the same in the output as in its source, since
that is as far back as it can refer (RFC 1951, section 2). It has to land on the same bit of a byte;
empty blocks shift what follows. Everything else is compressed anew. DESIGN.md, section 5.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from zlib_ng import zlib_ng

from squashproxy.codec.bits import BitWriter
from squashproxy.codec.deflater import WINDOW, Data, Deflater
from squashproxy.codec.gzip import LEVEL
from squashproxy.codec.tape import Tape
from squashproxy.span import Block, Kept, Span

MAX_BLOCK = 4 << 20
"""A block with more bytes of content, or of code, is compressed anew: memory stays bounded."""

_NOWHERE = -1

_COPY_BITS = 8 * (256 << 10)
"""So much code that blocks in a row make up is written out, though more might follow."""

_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))


class Splicer:
    """Turns spans into one gzip member, once; an Encoder."""

    def __init__(self) -> None:
        self._crc = 0
        self._size = 0
        self._bits = BitWriter()
        self._deflater = Deflater(self._bits, LEVEL)
        self._stream = _NOWHERE
        self._tape = Tape()
        self._run = 0
        self._end = _NOWHERE
        self._held: deque[Data] = deque()
        self._held_size = 0
        self._copy: tuple[int, int] | None = None
        self._spliced_bits = 0

    @property
    def spliced(self) -> int:
        """Bytes of the blob that were copied compressed."""
        return self._spliced_bits >> 3

    @property
    def reencoded(self) -> int:
        """Bytes of the tar that were compressed anew."""
        return self._deflater.size

    def iter_blob(self, spans: Iterable[Span]) -> Iterator[Data]:
        """The blob, in chunks."""
        yield _HEADER
        for span in spans:
            data = span.data
            self._size += len(data)
            self._crc = zlib_ng.crc32(data, self._crc)
            if isinstance(span, Kept):
                self._keep(span)
            else:
                self._end_run()
                self._encode(data)
            yield from self._bits.take()
        self._end_run()
        self._end_copy()
        self._deflater.end_stretch()
        self._bits.end_stream()
        self._bits.put_bytes(self._crc.to_bytes(4, "little"))
        self._bits.put_bytes((self._size & 0xFFFFFFFF).to_bytes(4, "little"))
        yield from self._bits.take()

    def _keep(self, span: Kept) -> None:
        if span.stream != self._stream or span.offset != self._end:
            self._begin_run(span)
        self._end += len(span.data)
        if not span.sources[-1].code:
            self._encode(span.data)
            return
        self._tape.add(span.sources)
        self._held.append(span.data)
        self._held_size += len(span.data)
        self._settle_blocks()
        if self._held_size > MAX_BLOCK:
            self._encode_held(self._held_size)

    def _begin_run(self, span: Kept) -> None:
        self._end_run()
        if span.stream != self._stream:
            self._end_copy()
            self._stream = span.stream
            self._tape = Tape()
        self._run = self._end = span.offset

    def _end_run(self) -> None:
        """What follows does not stand behind this in its source; the block under way is cut."""
        if self._held_size:
            self._encode_held(self._held_size)
        self._end = _NOWHERE

    def _settle_blocks(self) -> None:
        """Copy or encode the blocks that end within what was kept so far."""
        blocks = self._tape.blocks
        settled = 0
        while blocks and blocks[0].end <= self._end:
            block = blocks.popleft()
            settled = block.end_bit
            size = block.end - (self._end - self._held_size)
            if block.start == block.end:
                self._pass_empty(block)
            elif size <= 0:
                continue
            elif self._may_copy(block, size):
                self._copy_block(block, size)
            else:
                self._encode_held(size)
        copy = self._copy
        if copy is not None and (copy[1] - copy[0] > _COPY_BITS or self._tape.is_full):
            self._write_copy(copy)
        self._tape.forget(self._copy[0] if self._copy is not None else settled)

    def _may_copy(self, block: Block, size: int) -> bool:
        """Whether all of a block, whose last `size` bytes are held, can go out as it is."""
        length = block.end - block.start
        if size != length or length > MAX_BLOCK or block.start < self._run:
            return False
        if block.end_bit - block.first_bit > 8 * MAX_BLOCK or not self._tape.holds(block.first_bit):
            return False
        return block.start - self._run >= WINDOW or self._run <= block.window

    def _pass_empty(self, block: Block) -> None:
        """A block without content is only good for going on with a copy without a seam."""
        if self._copy is not None and self._copy[1] == block.first_bit and not block.is_final:
            self._extend_copy(self._copy, block)

    def _copy_block(self, block: Block, size: int) -> None:
        self._deflater.end_stretch()
        for data in self._take_held(size):
            self._deflater.remember(data)
        copy = self._copy
        if copy is None or copy[1] != block.first_bit:
            self._end_copy()
            copy = (block.first_bit, block.first_bit)
        self._extend_copy(copy, block)

    def _extend_copy(self, copy: tuple[int, int], block: Block) -> None:
        """The block goes out behind those of `copy`; a final one by itself, its first bit cleared.

        What follows a member's final block is another member's header, or nothing.
        """
        self._spliced_bits += block.end_bit - block.first_bit
        if not block.is_final:
            self._copy = (copy[0], block.end_bit)
            return
        self._write_copy(copy)
        self._write_copy((block.first_bit, block.end_bit), clears_final=True)
        self._copy = None

    def _write_copy(self, copy: tuple[int, int], *, clears_final: bool = False) -> None:
        """Write the code between two bits of the blob; more of it may follow."""
        first, end = copy
        if first < end:
            views = self._tape.cut(first >> 3, (end + 7) >> 3)
            self._bits.copy(views, first & 7, end & 7, clears_final=clears_final)
        self._copy = (end, end)

    def _end_copy(self) -> None:
        """What follows is not the code behind the last copied block."""
        if self._copy is not None:
            self._write_copy(self._copy)
            self._copy = None

    def _encode_held(self, size: int) -> None:
        for data in self._take_held(size):
            self._encode(data)

    def _encode(self, data: Data) -> None:
        self._end_copy()
        self._deflater.put(data)

    def _take_held(self, size: int) -> Iterator[Data]:
        self._held_size -= size
        while size:
            data = self._held.popleft()
            if len(data) > size:
                self._held.appendleft(data[size:])
                data = data[:size]
            size -= len(data)
            yield data
