"""Named files: image layouts and archives consist of them, in a folder or in a tar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from squashproxy.errors import ArchiveError, advice_of, reason_of
from squashproxy.streams import CHUNK


class Files(Protocol):
    """Files that can be read in any order, from several threads."""

    @property
    def name(self) -> str:
        """The folder or archive, for people."""
        ...

    @property
    def spooled_bytes(self) -> int:
        """What went to a temporary file."""
        ...

    @property
    def is_cut_short(self) -> bool:
        """Whether the end of the tar is missing, so that files may be missing too."""
        ...

    def find(self, path: str) -> int | None:
        """The size in bytes of the file at `path`, None where there is none."""
        ...

    def iter_file(self, path: str, most: int | None = None) -> Iterator[bytes]:
        """The file's bytes, at most the first `most`, in chunks of at most 256 KiB.

        Raises ArchiveError if the file does not exist or is cut short.
        """
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


def read_file(files: Files, path: str, limit: int) -> bytes:
    """The whole of a small file. Raises ArchiveError where there is none, or a larger one."""
    size = files.find(path)
    if size is not None and size > limit:
        raise ArchiveError(
            f"{files.name}: {path} has {size} bytes; documents of more than {limit} are refused"
        )
    return b"".join(files.iter_file(path))


def missing(files: Files, path: str) -> ArchiveError:
    """The error for a file that should be there."""
    why = "it is cut short" if files.is_cut_short else "it is incomplete"
    return ArchiveError(
        f"{files.name} holds no {path}: {why}", advice="save or copy the image again"
    )


class Folder:
    """Files below a directory."""

    spooled_bytes = 0
    is_cut_short = False

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """The folder, for people."""
        return str(self._root)

    def find(self, path: str) -> int | None:
        """The size in bytes of the file at `path`, None where there is none."""
        file = self._root / path
        try:
            return file.stat().st_size if file.is_file() else None
        except OSError as error:
            raise self._unreadable(path, error) from error

    def iter_file(self, path: str, most: int | None = None) -> Iterator[bytes]:
        """The file's bytes, at most the first `most`. Raises ArchiveError."""
        if self.find(path) is None:
            raise missing(self, path)
        try:
            with (self._root / path).open("rb", buffering=0) as file:
                left = most
                while chunk := file.read(CHUNK if left is None else min(CHUNK, left)):
                    yield chunk
                    left = None if left is None else left - len(chunk)
        except OSError as error:
            raise self._unreadable(path, error) from error

    def close(self) -> None:
        """Nothing to do: no file stays open."""

    def _unreadable(self, path: str, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"{self._root / path} could not be read: {reason_of(error)}", advice=advice_of(error)
        )
