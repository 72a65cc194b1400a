"""gzip (RFC 1952), inflated with its block boundaries: what a splicer copies from."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Generator, Iterable

from squashproxy.codec.frames import CHUNK, cut_short, damaged
from squashproxy.codec.library import Library
from squashproxy.errors import BadCompression
from squashproxy.span import Block, Inflated

_Z_BLOCK = 5
_OK = 0
_STREAM_END = 1
_BUFFER_ERROR = -5
_UNUSED_BITS = 7
_LAST_BLOCK = 64
_BOUNDARY = 128


def iter_inflated(
    blob: Iterable[bytes], where: str, library: Library
) -> Generator[Inflated, None, None]:
    """The content of all members, in chunks of 256 KiB, with code and blocks.

    Where the chunks of content end does not depend on the pieces of the blob, nor does which chunk
    a block belongs to. Every member's CRC-32 and length are checked; zero bytes after a member are
    padding. Raises BadCompression.
    """
    reader = _Reader(where, library)
    for piece in blob:
        yield from reader.feed(piece)
    yield from reader.finish()


class _Member:
    """One gzip member under way; `at` is its first byte in the blob."""

    def __init__(self, library: Library, at: int) -> None:
        self.at = at
        self.stream = library.stream()
        if library.begin(ctypes.byref(self.stream)) != _OK:
            raise MemoryError(f"{library.name} could not begin a stream")
        self._finalizer = weakref.finalize(self, library.end, self.stream)

    def close(self) -> None:
        """Give its memory back."""
        self._finalizer()


class _Reader:
    def __init__(self, where: str, library: Library) -> None:
        self._where = where
        self._library = library
        self._buffer = ctypes.create_string_buffer(CHUNK)
        self._address = ctypes.addressof(self._buffer)
        self._filled = 0
        self._content = 0
        self._blob = 0
        self._code: list[tuple[int, bytes]] = []
        self._blocks: list[Block] = []
        self._member: _Member | None = None
        self._window = 0
        self._boundary: tuple[int, int] | None = None

    def feed(self, piece: bytes) -> Generator[Inflated, None, None]:
        """Inflate another piece of the blob."""
        if not piece:
            return
        self._code.append((self._blob, piece))
        address = ctypes.cast(ctypes.c_char_p(piece), ctypes.c_void_p).value or 0
        size = len(piece)
        at = 0
        while True:
            member = self._member
            if member is None:
                at = self._skip_padding(piece, at)
                if at == size:
                    break
                member = self._begin(self._blob + at)
            at, at_boundary = self._step(member, address, at, size)
            if at_boundary:
                continue
            if self._filled == CHUNK and (at < size or self._member is None):
                yield self._take(self._code[-1:])
            elif self._member is not None and at == size:
                break
        self._blob += size

    def finish(self) -> Generator[Inflated, None, None]:
        """The blob is over: the last chunk."""
        if self._member is not None:
            if self._filled:
                yield self._take([])
            raise cut_short(self._where)
        if self._filled:
            yield self._take([])

    def _skip_padding(self, piece: bytes, at: int) -> int:
        if self._blob + at == 0:
            return at
        rest = piece[at:].lstrip(b"\0")
        return len(piece) - len(rest)

    def _begin(self, at: int) -> _Member:
        self._member = _Member(self._library, at)
        self._window = self._content + self._filled
        self._boundary = None
        return self._member

    def _step(self, member: _Member, address: int, at: int, size: int) -> tuple[int, bool]:
        """One call: how far the piece was read, and whether it stopped at a block's boundary."""
        stream = member.stream
        stream.next_in, stream.avail_in = address + at, size - at
        stream.next_out, stream.avail_out = self._address + self._filled, CHUNK - self._filled
        code = self._library.inflate(ctypes.byref(stream), _Z_BLOCK)
        self._filled = CHUNK - stream.avail_out
        at = size - stream.avail_in
        if code == _STREAM_END:
            member.close()
            self._member = None
            return at, False
        if code not in (_OK, _BUFFER_ERROR):
            raise self._damaged(stream)
        state = stream.data_type
        if not state & _BOUNDARY:
            return at, False
        bit = 8 * (member.at + stream.total_in) - (state & _UNUSED_BITS)
        return at, self._note(bit, is_final=bool(state & _LAST_BLOCK))

    def _note(self, bit: int, *, is_final: bool) -> bool:
        """A block, or the member's header, ends at `bit` of the blob; False if that was known."""
        content = self._content + self._filled
        if self._boundary is not None:
            start, first_bit = self._boundary
            if bit == first_bit:
                return False
            block = Block(start, content, first_bit, bit, is_final, self._window)
            self._blocks.append(block)
        self._boundary = (content, bit)
        return True

    def _take(self, still_read: list[tuple[int, bytes]]) -> Inflated:
        content = ctypes.string_at(self._address, self._filled)
        self._content += self._filled
        self._filled = 0
        inflated = Inflated(content, self._code, self._blocks)
        self._code, self._blocks = still_read, []
        return inflated

    def _damaged(self, stream: object) -> BadCompression:
        reason: bytes | None = getattr(stream, "msg", None)
        return damaged(self._where, (reason or b"no reason given").decode("ascii", "replace"))
