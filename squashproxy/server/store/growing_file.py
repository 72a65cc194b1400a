"""A file of a store that grows, and takes room while it does."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from squashproxy.atomic_file import AtomicFile
from squashproxy.digest import Chunk
from squashproxy.server.store.room import Room
from squashproxy.server.store.spools import append


class GrowingFile:
    """An AtomicFile that takes its bytes from `room`, `expected` of them at once.

    Whoever makes it closes it, also if it was published. Raises StoreFull.
    """

    def __init__(self, file: AtomicFile, room: Room, where: str, expected: int = 0) -> None:
        self.file = file
        self._room = room
        self._where = where
        self._size = 0
        self._taken = 0
        try:
            self._take(expected)
        except BaseException:
            file.abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self.file.stream.fileno()

    def append(self, chunk: Chunk) -> None:
        """Write the whole of `chunk`. Raises StoreFull or ArchiveError."""
        self._size += len(chunk)
        self._take(self._size - self._taken)
        append(self.file.stream, chunk, self._where)

    def close(self) -> None:
        """Forget the file, unless it was published; give back the room that it took."""
        self.file.abandon()
        self._room.give_back(self._taken)
        self._taken = 0

    def _take(self, count: int) -> None:
        if count > 0:
            self._room.take(count)
            self._taken += count
