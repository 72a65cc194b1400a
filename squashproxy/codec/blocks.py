"""gzip (RFC 1952), inflated with its block boundaries: what a splicer copies from."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Generator, Iterable, Iterator

from squashproxy.codec.frames import CHUNK, cut_short, damaged
from squashproxy.codec.library import Library
from squashproxy.span import Block, Inflated

MANY = 1024
"""A chunk with so many blocks goes out before it is full: empty ones would fill the memory."""

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

    Only the last chunk is shorter, and one with a thousand blocks. Where the chunks of content end
    does not depend on the pieces of the blob, nor does which chunk a block belongs to. Every
    member's CRC-32 and length are checked; zero bytes after a member are padding. Raises
    BadCompression.
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
        self.reference = ctypes.byref(self.stream)
        if library.begin(self.reference) != _OK:
            raise MemoryError(f"{library.name} could not begin a stream")
        self.close = weakref.finalize(self, library.end, self.stream)


class _Reader:
    def __init__(self, where: str, library: Library) -> None:
        self._where = where
        self._library = library
        self._chunk = _Chunk()
        self._room = CHUNK
        self._content = 0
        self._blob = 0
        self._code: list[tuple[int, bytes]] = []
        self._blocks: list[Block] = []
        self._member: _Member | None = None
        self._window = 0
        self._boundary: tuple[int, int] | None = None
        self._latest = 0

    def feed(self, piece: bytes) -> Generator[Inflated, None, None]:
        """Inflate another piece of the blob.

        A full chunk goes out only when the next symbol needs room: blocks that end right where the
        chunk does belong to it.
        """
        if not piece:
            return
        self._code.append((self._blob, piece))
        start = _address_of(piece)
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
            if is_full or len(self._blocks) >= MANY:
                yield from self._take(self._code[-1:])
        if self._boundary is None and self._latest <= 8 * self._blob:
            self._code.pop()
        self._blob += len(piece)

    def finish(self) -> Generator[Inflated, None, None]:
        """The blob is over: the last chunk."""
        yield from self._take([])
        if self._member is not None:
            raise cut_short(self._where)

    def _skip_padding(self, piece: bytes, left: int) -> int:
        if self._blob + len(piece) == left:
            return left
        return len(piece[-left:].lstrip(b"\0"))

    def _begin(self, at: int) -> _Member:
        self._member = _Member(self._library, at)
        self._window = self._content + CHUNK - self._room
        self._boundary = None
        return self._member

    def _run(self, member: _Member) -> None:
        """Inflate until the piece is used up, the chunk should go, or the member ends."""
        inflate, stream, reference = self._library.inflate, member.stream, member.reference
        while True:
            code = inflate(reference, _Z_BLOCK)
            if code == _STREAM_END:
                member.close()
                self._member = self._boundary = None
                return
            if code not in (_OK, _BUFFER_ERROR):
                reason: bytes = stream.msg or b"no reason given"
                raise damaged(self._where, reason.decode("ascii", "replace"))
            state: int = stream.data_type
            if not state & _BOUNDARY:
                return
            bit = 8 * (member.at + stream.total_in) - (state & _UNUSED_BITS)
            content = self._content + CHUNK - stream.avail_out
            is_news = self._note(content, bit, is_final=bool(state & _LAST_BLOCK))
            if not is_news or len(self._blocks) >= MANY:
                return

    def _note(self, content: int, bit: int, *, is_final: bool) -> bool:
        """A block, or the member's header, ends at `bit` of the blob; False if that was known."""
        boundary, self._boundary = self._boundary, (content, bit)
        self._latest = bit
        if boundary is None:
            return True
        start, first_bit = boundary
        if bit == first_bit:
            return False
        self._blocks.append(Block(start, content, first_bit, bit, is_final, self._window))
        return True

    def _take(self, still_read: list[tuple[int, bytes]]) -> Iterator[Inflated]:
        """The chunk, unless there is no content; then its blocks are good for nothing."""
        filled = CHUNK - self._room
        content = self._chunk.content if not self._room else self._chunk.content[:filled]
        inflated = Inflated(content, self._code, self._blocks)
        self._code, self._blocks = still_read, []
        if filled:
            self._content += filled
            self._chunk = _Chunk()
            self._room = CHUNK
            yield inflated


_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t)


class _Chunk:
    """Bytes that are filled before anyone else sees them, as the C API allows; saves a copy."""

    def __init__(self) -> None:
        self.content: bytes = _new_bytes(None, CHUNK)
        self.address = _address_of(self.content)


def _address_of(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
