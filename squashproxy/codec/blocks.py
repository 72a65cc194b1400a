"""gzip (RFC 1952), inflated with boundaries between its blocks: what a splicer copies from.

A boundary is where `inflate()` is told to stop, and every stop costs: the thread has to ask for the
interpreter again. So one is looked for every 512 KiB only, and between two of them lies a chain of
blocks; boundaries.py finds the others where they matter.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Generator, Iterable, Iterator

from squashproxy.codec.frames import CHUNK, cut_short, damaged
from squashproxy.codec.library import (
    BLOCK,
    NO_FLUSH,
    OK,
    STREAM_END,
    Library,
    Stop,
    address_of,
    is_error,
)
from squashproxy.span import Chain, Inflated, Start

MAX_CHAIN = 4 << 20
"""A chain with more bytes of content, or of code, is never copied: memory stays bounded."""

MANY = 1024
"""A chunk with so many chains goes out before it is full: empty ones would fill the memory."""

_CHAIN = 512 << 10
"""A chain ends at the first boundary behind so many bytes of content."""

_CHAIN_CODE = 320 << 10
"""Or behind so many bytes of code, where that holds little."""

_CHUNK_CODE = 1 << 20
"""A chunk of more code than that goes out before it is full, too."""

_SINGLE = 4096
"""So many blocks of a later member are chains by themselves; a member may have far too many."""

_TRAILER = 8


def iter_inflated(
    blob: Iterable[bytes], where: str, library: Library
) -> Generator[Inflated, None, None]:
    """The content of all members, in chunks of 256 KiB, with code and chains of blocks.

    Only the last chunk is shorter, and one with a thousand chains, or of more than a MiB of code.
    Where the chunks of content end does not depend on the pieces of the blob, nor do the chains.
    Those of all members but the first are single blocks, a few thousand of each. Every member's
    CRC-32 and length are checked; zero bytes after a member are padding. Raises BadCompression.
    """
    reader = _Reader(where, library)
    for piece in blob:
        yield from reader.feed(piece)
    yield from reader.finish()


class _Member:
    """One gzip member under way; `at` is its first byte in the blob, `window` in the content.

    Chains begin long in the first member only: of each the last block is needed by itself, and the
    members of blobs with several are mostly small. `singles` are the blocks still to be chains by
    themselves.
    """

    def __init__(self, library: Library, at: int, window: int) -> None:
        self._at = at
        self.window = window
        self.singles = _SINGLE if at else 0
        self.stream = library.stream()
        self.reference = ctypes.byref(self.stream)
        if library.begin(self.reference) != OK:
            raise MemoryError(f"{library.name} could not begin a stream")
        self.close = weakref.finalize(self, library.end, self.stream)

    @property
    def read(self) -> int:
        """How much of the blob was read, in bytes."""
        return int(self._at + self.stream.total_in)


class _Reader:
    """`_content` and `_blob` are where the chunk and the piece under way begin."""

    def __init__(self, where: str, library: Library) -> None:
        self._where = where
        self._library = library
        self._chunk = _Chunk()
        self._room = CHUNK
        self._content = 0
        self._blob = 0
        self._code: list[tuple[int, bytes]] = []
        self._code_bit = 0
        self._chains: list[Chain] = []
        self._member: _Member | None = None
        self._begun: Start | None = None
        self._is_block = False
        self._seeks = False
        self._latest = 0

    def feed(self, piece: bytes) -> Generator[Inflated, None, None]:
        """Inflate another piece of the blob.

        A full chunk goes out only when the next symbol needs room: blocks that end right where the
        chunk does belong to it.
        """
        if not piece:
            return
        self._code.append((self._blob, piece))
        start = address_of(piece)
        left = len(piece)
        while left:
            member = self._member
            if member is None:
                left = self._skip_padding(piece, left)
                if not left:
                    break
                member = self._begin(self._blob + len(piece) - left)
            stream = member.stream
            stream.next_in, stream.avail_in = start + len(piece) - left, left
            stream.next_out, stream.avail_out = self._chunk.address + CHUNK - self._room, self._room
            self._run(member)
            left, self._room = stream.avail_in, stream.avail_out
            is_full = left and not self._room and self._member is not None
            if is_full or self._is_overladen:
                yield from self._take()
        if self._begun is None and self._latest <= 8 * self._blob:
            self._code.pop()
        self._blob += len(piece)

    def finish(self) -> Generator[Inflated, None, None]:
        """The blob is over: the last chunk."""
        yield from self._take()
        if self._member is not None:
            raise cut_short(self._where)

    def _skip_padding(self, piece: bytes, left: int) -> int:
        if self._blob + len(piece) == left:
            return left
        return len(piece[-left:].lstrip(b"\0"))

    def _begin(self, at: int) -> _Member:
        window = self._content + CHUNK - self._room
        self._member = _Member(self._library, at, window)
        return self._member

    def _end(self, member: _Member) -> None:
        member.close()
        self._member = self._begun = None

    def _run(self, member: _Member) -> None:
        """Inflate until the piece is used up, the chunk should go, or the member ends."""
        while True:
            begun = self._begun
            if begun is None or self._seeks:
                goes_on = self._seek(member, begun)
            else:
                goes_on = self._run_on(member, begun)
            if not goes_on:
                return

    def _run_on(self, member: _Member, begun: Start) -> bool:
        """Inflate until a boundary is to be looked for; False where something else comes first.

        That time has come when the next symbol needs room, and not before: whether a boundary right
        there is passed must not depend on where the piece ends.
        """
        stream = member.stream
        room, left = stream.avail_out, stream.avail_in
        wanted = max(0, begun.offset + _CHAIN - self._content_end(member))
        budget = (begun.bit >> 3) + _CHAIN_CODE - member.read
        stream.avail_out, stream.avail_in = min(room, wanted), min(left, budget)
        code = self._inflate(member, NO_FLUSH)
        needs_room = stream.avail_in and not stream.avail_out
        is_spent = left >= budget and not stream.avail_in
        stream.avail_out += room - min(room, wanted)
        stream.avail_in += left - min(left, budget)
        if code == STREAM_END:
            bit = 8 * (member.read - _TRAILER)
            self._end_chain(member, begun, bit, is_final=True)
            self._end(member)
            return False
        self._seeks = bool(is_spent or (needs_room and wanted <= room))
        return self._seeks and bool(stream.avail_out)

    def _seek(self, member: _Member, begun: Start | None) -> bool:
        """Inflate up to the next boundary; False where something else comes first."""
        if self._inflate(member, BLOCK) == STREAM_END:
            self._end(member)
            return False
        stop = Stop.of(member.stream)
        if not stop.is_boundary:
            return False
        bit = 8 * member.read - stop.unused_bits
        if begun is not None:
            if bit == begun.bit:
                return False
            self._end_chain(member, begun, bit, is_final=stop.is_final)
        if stop.is_final:
            self._begun = None
        else:
            self._begin_chain(member, bit)
        return not self._is_overladen

    def _inflate(self, member: _Member, flush: int) -> int:
        code = self._library.inflate(member.reference, flush)
        if is_error(code):
            reason: bytes = member.stream.msg or b"no reason given"
            raise damaged(self._where, reason.decode("ascii", "replace"))
        return code

    def _content_end(self, member: _Member) -> int:
        """Up to where there is content."""
        return int(self._content + CHUNK - member.stream.avail_out)

    def _begin_chain(self, member: _Member, bit: int) -> None:
        self._begun = Start(self._content_end(member), bit, member.window)
        self._is_block = self._seeks = member.singles > 0
        member.singles -= self._is_block

    def _end_chain(self, member: _Member, begun: Start, bit: int, *, is_final: bool) -> None:
        self._latest = bit
        end = self._content_end(member)
        self._chains.append(Chain(begun, end, bit, is_final, self._is_block))

    @property
    def _is_overladen(self) -> bool:
        return len(self._chains) >= MANY or self._latest - self._code_bit > 8 * _CHUNK_CODE

    def _take(self) -> Iterator[Inflated]:
        """The chunk, unless there is no content; then its chains are good for nothing."""
        filled = CHUNK - self._room
        content = self._chunk.content if not self._room else self._chunk.content[:filled]
        begun = self._begun if self._may_be_copied(self._begun, filled) else None
        inflated = Inflated(content, self._code, self._chains, begun)
        self._code_bit = self._latest if begun is None else begun.bit
        self._code = self._still_needed(begun)
        self._chains = []
        if filled:
            self._content += filled
            self._chunk = _Chunk()
            self._room = CHUNK
            yield inflated

    def _may_be_copied(self, begun: Start | None, filled: int) -> bool:
        """Whether the chain that is under way has several blocks, and is not too long yet."""
        if begun is None or self._member is None or self._is_block:
            return False
        length = self._content + filled - begun.offset
        return max(length, self._member.read - (begun.bit >> 3)) <= MAX_CHAIN

    def _still_needed(self, begun: Start | None) -> list[tuple[int, bytes]]:
        """The pieces that the next chunk may need as well: the last one, and the chain's."""
        first = len(self._code) - 1
        while begun is not None and first > 0 and self._code[first][0] > begun.bit >> 3:
            first -= 1
        return self._code[max(0, first) :]


_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t)


class _Chunk:
    """Bytes that are filled before anyone else sees them, as the C API allows; saves a copy."""

    def __init__(self) -> None:
        self.content: bytes = _new_bytes(None, CHUNK)
        self.address = address_of(self.content)
