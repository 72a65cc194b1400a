"""The bytes of blobs, in memory or as files of a directory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from squashproxy.digest import Digest, Hasher
from squashproxy.testing.answers import Code, Refusal

_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one blob: in memory, or the file that holds them. `size` is in bytes."""

    size: int
    data: bytes | Path

    def iter_range(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, in pieces of at most 256 KiB."""
        if isinstance(self.data, bytes):
            for position in range(start, stop, _PIECE):
                yield self.data[position : min(position + _PIECE, stop)]
            return
        with self.data.open("rb") as file:
            file.seek(start)
            while start < stop:
                piece = file.read(min(_PIECE, stop - start))
                start += len(piece)
                yield piece

    def read(self) -> bytes:
        """All bytes."""
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


class Space:
    """Counts the stored bytes, and refuses more than `capacity` of them; None means no limit."""

    def __init__(self, capacity: int | None) -> None:
        self._capacity = capacity
        self._used = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Count `size` more bytes. Raises Refusal (507) if they do not fit."""
        with self._lock:
            if self._capacity is not None and self._used + size > self._capacity:
                raise Refusal(Code.UNKNOWN, "no space left on device", status=507)
            self._used += size

    def give_back(self, size: int) -> None:
        """Count `size` bytes fewer."""
        with self._lock:
            self._used -= size


class Draft:
    """A blob that is still being written; it is hashed as it grows."""

    def __init__(self, path: Path | None, space: Space) -> None:
        self._path = path
        self._space = space
        self._pieces: list[bytes] = []
        self._hasher = Hasher()
        if path is not None:
            path.touch()

    @property
    def size(self) -> int:
        """The number of bytes written so far."""
        return self._hasher.size

    def append(self, pieces: Iterable[bytes]) -> None:
        """Append the pieces. If `pieces` raises, what came before stays. Raises Refusal (507)."""
        if self._path is None:
            for piece in pieces:
                self._count(piece)
                self._pieces.append(piece)
            return
        with self._path.open("ab") as file:
            for piece in pieces:
                self._count(piece)
                file.write(piece)

    def digest(self, like: Digest | None = None) -> Digest:
        """The digest of the bytes written so far, by the algorithm of `like` (default sha256)."""
        if like is None or like.startswith("sha256:"):
            return self._hasher.digest
        hasher = Hasher(like)
        content = self.content()
        for piece in content.iter_range(0, content.size):
            hasher.update(piece)
        return hasher.digest

    def content(self) -> Content:
        """The bytes written so far."""
        if self._path is not None:
            return Content(self.size, self._path)
        self._pieces = [b"".join(self._pieces)]
        return Content(self.size, self._pieces[0])

    def discard(self) -> None:
        """Delete the bytes and give their space back."""
        self._space.give_back(self.size)
        if self._path is not None:
            self._path.unlink()

    def _count(self, piece: bytes) -> None:
        self._space.take(len(piece))
        self._hasher.update(piece)


class Contents:
    """Blobs by digest. A blob that several repositories hold is stored once."""

    def __init__(self, directory: Path | None = None, capacity: int | None = None) -> None:
        self._directory = directory
        self._space = Space(capacity)
        self._contents: dict[Digest, Content] = {}
        self._drafts = 0
        self._lock = threading.Lock()
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, digest: Digest) -> Content:
        return self._contents[digest]

    def draft(self) -> Draft:
        """Begin a new blob."""
        with self._lock:
            self._drafts += 1
            name = f"draft-{self._drafts}"
        return Draft(None if self._directory is None else self._directory / name, self._space)

    def keep(self, draft: Draft, digest: Digest) -> None:
        """Store a draft as the blob `digest`. The caller has checked that this is its digest."""
        with self._lock:
            if digest in self._contents:
                draft.discard()
                return
            content = draft.content()
            if isinstance(content.data, Path):
                path = content.data.with_name(digest.replace(":", "-"))
                content = Content(content.size, content.data.rename(path))
            self._contents[digest] = content
