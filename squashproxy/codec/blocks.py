"""Inflating gzip (RFC 1952) with block boundaries, which a splicer needs to copy code.

To find a boundary, `inflate()` has to stop there, and every stop costs: the thread has to take the
interpreter's lock again. So a boundary is sought only every 512 KiB, and the blocks between two of
them form a chain. block_finder.py finds the other boundaries where they are needed.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator

from squashproxy.codec.frames import cut_short, damaged
from squashproxy.codec.gzip import MAGIC
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
from squashproxy.streams import CHUNK

MAX_CHAIN = 4 << 20
"""A chain with more bytes of content or of code is never copied, which bounds memory."""

MANY = 1024
"""A chunk with this many chains is handed out before it is full: empty ones would fill memory."""

_CHAIN = 512 << 10
"""A chain ends at the first boundary after this many bytes of content."""

_CHAIN_CODE = 320 << 10
"""A chain also ends after this many bytes of code, where that holds little content."""

_CHUNK_CODE = 1 << 20
"""A chunk with more bytes of code is handed out before it is full."""

_SINGLE = 4096
"""The most blocks of a later member that are chains by themselves."""

_TRAILER = 8


def iter_inflated(
    blob: Iterable[bytes],
    where: str,
    library: Library,
    on_rubbish: Callable[[int], None] = lambda _: None,
) -> Generator[Inflated, None, None]:
    """The content of all members, in chunks of 256 KiB, with code and chains of blocks.

    Only the last chunk is shorter, and one with a thousand chains or more than a MiB of code.
    Neither the chunks nor the chains depend on how the blob is cut into pieces. In all members but
    the first, chains are single blocks, up to a few thousand in each. Every member's CRC-32 and
    length are checked; zero bytes after a member are padding. For `on_rubbish` see
    codec/gzip.py. Raises BadCompression.
    """
    reader = _Reader(where, library)
    for piece in blob:
        yield from reader.feed(piece)
    yield from reader.finish()
    if reader.rubbish:
        on_rubbish(reader.rubbish)


class _Member:
    """The gzip member being read; `at` is its first byte in the blob, `window` in the content.

    Only the first member uses multi-block chains. A member's final block must stand alone so that
    its final bit can be cleared; later members are usually small, so their blocks are recorded one
    by one. `singles` is how many more blocks are recorded so.
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
        """The number of bytes of the blob that were read."""
        return int(self._at + self.stream.total_in)

    @property
    def is_doubtful(self) -> bool:
        """Whether only one byte was read behind another member, which may be rubbish."""
        return self._at > 0 and self.stream.total_in == 1


class _Reader:
    """Inflates a blob; `_content` and `_blob` are where the current chunk and piece begin."""

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
        self.rubbish = 0
        """The bytes behind the last member that are no gzip; nothing is inflated after them."""

    def feed(self, piece: bytes) -> Generator[Inflated, None, None]:
        """Inflate another piece of the blob.

        A full chunk is handed out only when the next symbol needs room. So a block that ends
        exactly with the chunk belongs to it.
        """
        if self.rubbish:
            self.rubbish += len(piece)
        if not piece or self.rubbish:
            return
        self._code.append((self._blob, piece))
        start = address_of(piece)
        left = len(piece)
        while left:
            member = self._member
            if member is None:
                left = self._skip_padding(piece, left)
                if not left or self._is_rubbish(piece, left):
                    break
                member = self._begin(self._blob + len(piece) - left)
            elif member.is_doubtful and piece[0] != MAGIC[1]:
                self._end(member)
                self.rubbish = 1 + left
                break
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
        """The blob has ended: yield the last chunk."""
        yield from self._take()
        if self._member is not None and self._member.is_doubtful:
            self._end(self._member)
            self.rubbish = 1
        if self._member is not None:
            raise cut_short(self._where)

    def _skip_padding(self, piece: bytes, left: int) -> int:
        if self._blob + len(piece) == left:
            return left
        return len(piece[-left:].lstrip(b"\0"))

    def _is_rubbish(self, piece: bytes, left: int) -> bool:
        """Whether the last bytes of the piece, behind a member, begin no other one."""
        is_first = self._blob + len(piece) == left
        start = piece[len(piece) - left :][: len(MAGIC)]
        if is_first or MAGIC.startswith(start):
            return False
        self.rubbish = left
        return True

    def _begin(self, at: int) -> _Member:
        window = self._content + CHUNK - self._room
        self._member = _Member(self._library, at, window)
        return self._member

    def _end(self, member: _Member) -> None:
        member.close()
        self._member = self._begun = None

    def _run(self, member: _Member) -> None:
        """Inflate until the piece is used up, the chunk is to be handed out, or the member ends."""
        while True:
            begun = self._begun
            if begun is None or self._seeks:
                goes_on = self._seek(member, begun)
            else:
                goes_on = self._run_on(member, begun)
            if not goes_on:
                return

    def _run_on(self, member: _Member, begun: Start) -> bool:
        """Inflate until a boundary is to be sought; False if something else comes first.

        It is sought when the next symbol needs room, and not before. Otherwise the end of the piece
        would decide whether a boundary exactly there is passed.
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
        """Inflate up to the next boundary; False if something else comes first."""
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
        """The end of the content so far."""
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
        """The chunk; None where it has no content, since its chains are useless then."""
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
        """Whether the open chain has several blocks and is not too long yet."""
        if begun is None or self._member is None or self._is_block:
            return False
        length = self._content + filled - begun.offset
        return max(length, self._member.read - (begun.bit >> 3)) <= MAX_CHAIN

    def _still_needed(self, begun: Start | None) -> list[tuple[int, bytes]]:
        """The pieces that the next chunk may need: the last one, and those of the open chain."""
        first = len(self._code) - 1
        while begun is not None and first > 0 and self._code[first][0] > begun.bit >> 3:
            first -= 1
        return self._code[max(0, first) :]


_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t)


class _Chunk:
    """Bytes that are filled in place before anything else sees them, which saves a copy.

    The C API allows that.
    """

    def __init__(self) -> None:
        self.content: bytes = _new_bytes(None, CHUNK)
        self.address = address_of(self.content)
