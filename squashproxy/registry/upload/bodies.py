"""Bodies of upload requests: a window that is kept, a stream that is sent once, and a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.errors import IntegrityError
from squashproxy.streams import CHUNK

_SMALL = 16 << 10
_LARGE = 512 << 10


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first `size` bytes of a blob, as an earlier attempt read them; `what` is for people."""

    size: int
    digest: Digest
    what: str


class HashedChunks:
    """The chunks of a blob: hashed as they are taken, and cut into pieces of the wanted size.

    They must begin as the blob did `before`. `failure` is the OSError of the chunks' source, if it
    raised one. Without it, that error could not be told from one of the connection.
    """

    def __init__(
        self, chunks: Iterable[Chunk], hasher: Hasher, before: Beginning | None = None
    ) -> None:
        self._chunks = iter(chunks)
        self._hasher = hasher
        self._before = before
        self._rest: memoryview | None = None
        self.failure: OSError | None = None

    def take(self, limit: int) -> Chunk | None:
        """The next piece, at most `limit` bytes; None at the end. Raises errors of the source."""
        if self._rest is not None:
            piece, self._rest = self._cut(self._rest, limit)
            return piece
        while (chunk := self._next()) is not None:
            if not len(chunk):
                continue
            self._hash(chunk)
            if len(chunk) <= limit:
                return chunk
            piece, self._rest = self._cut(memoryview(chunk), limit)
            return piece
        if self._before is not None and self._hasher.size < self._before.size:
            raise _differs(self._before)
        return None

    def iter_pieces(self) -> Iterator[Chunk]:
        """All remaining pieces. Small chunks are joined, so that they share a packet."""
        small = bytearray()
        while (piece := self.take(CHUNK)) is not None:
            if len(piece) + len(small) > CHUNK or (small and len(piece) >= _SMALL):
                yield memoryview(small)
                small = bytearray()
            if len(piece) >= _SMALL:
                yield piece
            else:
                small += piece
        if small:
            yield memoryview(small)

    def _hash(self, chunk: Chunk) -> None:
        """Add a chunk to the hash. Raises IntegrityError if the blob began otherwise before."""
        before = self._before
        end = self._hasher.size + len(chunk)
        if before is None or end < before.size:
            self._hasher.update(chunk)
            return
        split = before.size - self._hasher.size
        self._hasher.update(memoryview(chunk)[:split])
        if self._hasher.digest != before.digest:
            raise _differs(before)
        self._before = None
        self._hasher.update(memoryview(chunk)[split:])

    def _next(self) -> Chunk | None:
        try:
            chunk = next(self._chunks, None)
        except OSError as error:
            self.failure = error
            raise
        if isinstance(chunk, memoryview):
            return chunk.cast("B") if chunk.format != "B" else chunk
        return chunk

    @staticmethod
    def _cut(view: memoryview, limit: int) -> tuple[memoryview, memoryview | None]:
        return view[:limit], view[limit:] if len(view) > limit else None


def _differs(before: Beginning) -> IntegrityError:
    return IntegrityError(
        f"{before.what} was made twice, and the first {before.size} bytes differ: what it is made "
        "of changed in its place or on the way",
        advice="try again",
        blob=before.digest,
    )


class Window:
    """A part of a blob that is kept in memory, to be sent again, until the registry has it.

    Large immutable chunks are kept as they are. Others are copied, since their producer may reuse
    its buffer. `start` is the window's offset in the blob, in bytes.
    """

    replayable = True

    def __init__(self, start: int) -> None:
        self.start = start
        self.size = 0
        self.failure: OSError | None = None
        self._pieces: list[Chunk | bytearray] = []
        self._sent = 0

    @property
    def end(self) -> int:
        """The offset in the blob just after the window."""
        return self.start + self.size

    @property
    def position(self) -> int:
        """The offset in the blob of the first byte to send; `send_from` sets it."""
        return self.start + self._sent

    def fill(self, chunks: HashedChunks, limit: int) -> bool:
        """Fill the window to `limit` bytes. Returns False if `chunks` end before that."""
        while self.size < limit:
            piece = chunks.take(min(limit - self.size, CHUNK))
            if piece is None:
                return False
            self._keep(piece)
        return True

    def send_from(self, position: int) -> None:
        """Send only the bytes from `position` on, an offset in the blob within the window."""
        self._sent = position - self.start

    def _keep(self, piece: Chunk) -> None:
        self.size += len(piece)
        if _is_kept(piece):
            self._pieces.append(piece)
            return
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, bytearray) and len(last) + len(piece) <= CHUNK:
            last += piece
        else:
            self._pieces.append(bytearray(piece))

    def __len__(self) -> int:
        return self.size - self._sent

    def __iter__(self) -> Iterator[bytes | memoryview]:
        skip = self._sent
        for piece in self._pieces:
            if skip >= len(piece):
                skip -= len(piece)
                continue
            yield memoryview(piece)[skip:]
            skip = 0


def _is_kept(piece: Chunk) -> bool:
    """Whether to keep a piece without a copy: it never changes, and keeps little else in memory."""
    if isinstance(piece, bytes):
        return len(piece) >= _SMALL
    return (
        len(piece) >= _SMALL
        and isinstance(piece.obj, bytes)
        and 2 * len(piece) >= min(len(piece.obj), _LARGE)
    )


class Stream:
    """A window and everything after it, sent once.

    If the source raises, its error is kept in `failure` and the body ends as if it were complete.
    Then the registry answers with the next Location, which is needed to cancel the session.
    """

    replayable = False

    def __init__(self, window: Window, rest: HashedChunks) -> None:
        self._window = window
        self._rest = rest
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[bytes | memoryview]:
        yield from self._window
        try:
            yield from self._rest.iter_pieces()
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by whoever sent the body
            self.failure = error


class Spool:
    """A blob in a temporary file; it can be sent again."""

    replayable = True

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self.failure: OSError | None = None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        try:
            self._file.seek(0)
            while piece := self._file.read(CHUNK):
                yield piece
        except OSError as error:
            self.failure = error
            raise
