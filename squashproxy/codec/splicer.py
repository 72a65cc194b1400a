"""The splicer: from spans to gzip, copying deflate blocks unchanged wherever that is allowed.

A block may be copied when the 32 KiB before it are the same in the output as in its source, since
that is as far back as it can refer (RFC 1951, section 2). It must begin at the same bit of a byte;
empty blocks shift what follows. Everything else is compressed again (ARCHITECTURE.md, Splicing).

Blocks come in chains. A chain that is kept whole is copied without finding its blocks; only around
a cut are they told apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from zlib_ng import zlib_ng

from squashproxy.codec.bits import BitWriter
from squashproxy.codec.block_finder import iter_blocks
from squashproxy.codec.blocks import MAX_CHAIN
from squashproxy.codec.code_buffer import CodeBuffer
from squashproxy.codec.deflater import WINDOW, Data, Deflater
from squashproxy.codec.gzip import LEVEL
from squashproxy.codec.library import Library
from squashproxy.span import Chain, Kept, Span, Start

_NOWHERE = -1

_COPY_BITS = 8 * (256 << 10)
"""Consecutive copied blocks are written once they have this many bits of code."""

_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))


class Splicer:
    """Turns spans into one gzip member, once; an Encoder."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._crc = 0
        self._size = 0
        self._bits = BitWriter()
        self._deflater = Deflater(self._bits, LEVEL)
        self._stream = _NOWHERE
        self._code = CodeBuffer()
        self._run = 0
        self._end = _NOWHERE
        self._held: deque[Data] = deque()
        self._held_size = 0
        self._copy: tuple[int, int] | None = None
        self._spliced_bits = 0

    @property
    def spliced(self) -> int:
        """The bytes of the blob that were copied compressed."""
        return self._spliced_bits >> 3

    @property
    def reencoded(self) -> int:
        """The bytes of the tar that were compressed again."""
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
        self._code.add(span.sources)
        self._held.append(span.data)
        self._held_size += len(span.data)
        self._settle_chains()
        if self._held_size > MAX_CHAIN:
            self._encode_held(self._held_size)

    def _begin_run(self, span: Kept) -> None:
        self._end_run()
        if span.stream != self._stream:
            self._end_copy()
            self._stream = span.stream
            self._code = CodeBuffer()
        self._run = self._end = span.offset

    def _end_run(self) -> None:
        """End a run: the next bytes do not follow it in its source, so the open block is cut."""
        if self._held_size:
            self._settle_last()
        if self._held_size:
            self._encode_held(self._held_size)
        self._end = _NOWHERE

    def _settle_chains(self) -> None:
        """Copy or encode the chains that end within the content kept so far."""
        chains = self._code.chains
        settled = 0
        while chains and chains[0].end <= self._end:
            chain = chains.popleft()
            settled = chain.end_bit
            self._settle(chain)
        copy = self._copy
        if copy is not None and (copy[1] - copy[0] > _COPY_BITS or self._code.is_full):
            self._write_copy(copy)
        self._code.forget(self._copy[0] if self._copy is not None else settled)

    def _settle(self, chain: Chain) -> None:
        """Copy or encode a chain that ends within the content kept so far."""
        size = chain.end - self._held_from
        if chain.start.offset == chain.end:
            self._pass_empty(chain)
        elif size <= 0:
            return
        elif self._may_copy(chain):
            self._copy_chain(chain, size)
        elif not chain.is_block and self._may_hold_copies(chain.start, chain.end):
            self._settle_blocks(chain)
        else:
            self._encode_held(size)

    def _settle_blocks(self, chain: Chain) -> None:
        """Find the blocks of a chain in which a run begins, or with which a member ends."""
        code = self._code.cut(chain.start.bit >> 3, (chain.end_bit + 7) >> 3)
        for block in iter_blocks(chain.start, b"".join(code), self._library):
            rest = chain._replace(start=block.start)
            if self._may_copy(rest):
                self._copy_chain(rest, rest.end - self._held_from)
                return
            self._settle(block)

    def _settle_last(self) -> None:
        """Find the blocks of the chain in which the run ends."""
        start = self._code.under_way
        if start is None or not self._may_hold_copies(start, self._end):
            return
        code = self._code.cut(start.bit >> 3)
        for block in iter_blocks(start, b"".join(code), self._library):
            if block.end > self._end:
                return
            self._settle(block)

    @property
    def _held_from(self) -> int:
        return self._end - self._held_size

    def _may_copy(self, chain: Chain) -> bool:
        """Whether a chain at the beginning of the held content can be copied to its end."""
        start = chain.start
        if start.offset != self._held_from or start.offset < self._first_copy(start):
            return False
        if chain.is_final and not chain.is_block:
            return False
        is_short = chain.end - start.offset <= MAX_CHAIN
        fits = is_short and chain.end_bit - start.bit <= 8 * MAX_CHAIN
        return fits and self._code.holds(start.bit)

    def _may_hold_copies(self, start: Start, end: int) -> bool:
        """Whether there may be copyable blocks from `start` to `end`, and these can be found."""
        first = max(start.offset, self._held_from, self._first_copy(start))
        return first < end and end - start.offset <= MAX_CHAIN and self._code.holds(start.bit)

    def _first_copy(self, start: Start) -> int:
        """The first offset at which a block of the run may be copied, for the member of `start`."""
        return self._run if self._run <= start.window else self._run + WINDOW

    def _pass_empty(self, chain: Chain) -> None:
        """Use blocks without content only to continue an open copy; otherwise skip them."""
        copy = self._copy
        if copy is not None and copy[1] == chain.start.bit and not chain.is_final:
            self._extend_copy(copy, chain)

    def _copy_chain(self, chain: Chain, size: int) -> None:
        self._deflater.end_stretch()
        for data in self._take_held(size):
            self._deflater.remember(data)
        first = chain.start.bit
        copy = self._copy
        if copy is None or copy[1] != first:
            self._end_copy()
            copy = (first, first)
        self._extend_copy(copy, chain)

    def _extend_copy(self, copy: tuple[int, int], chain: Chain) -> None:
        """Append the chain to the open copy; a final block goes by itself, its final bit cleared.

        After a member's final block comes another member's header, or nothing.
        """
        first = chain.start.bit
        self._spliced_bits += chain.end_bit - first
        if not chain.is_final:
            self._copy = (copy[0], chain.end_bit)
            return
        self._write_copy(copy)
        self._write_copy((first, chain.end_bit), clears_final=True)
        self._copy = None

    def _write_copy(self, copy: tuple[int, int], *, clears_final: bool = False) -> None:
        """Write the code between two bits of the blob; more may follow."""
        first, end = copy
        if first < end:
            views = self._code.cut(first >> 3, (end + 7) >> 3)
            self._bits.copy(views, first & 7, end & 7, clears_final=clears_final)
        self._copy = (end, end)

    def _end_copy(self) -> None:
        """End the open copy: the code that follows its last block is not copied next."""
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
