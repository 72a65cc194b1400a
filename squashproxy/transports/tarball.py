"""Reading a tar by name: its headers are indexed once, then files are read in any order."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from squashproxy.errors import ArchiveError, reason_of
from squashproxy.streams import CHUNK
from squashproxy.transports.files import missing

_BLOCK = tarfile.BLOCKSIZE
_MOST_LINKS = 16
"""A longer chain of links is a circle."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    offset: int
    size: int


class Tarball:
    """The files of a tar in a seekable `stream`; `spooled_bytes` is the size of its temporary file.

    Symbolic and hard links lead to files of the same tar: docker writes them for layers that images
    share. Raises ArchiveError for a file that is not a tar or is damaged.
    """

    def __init__(self, stream: IO[bytes], name: str, spooled_bytes: int = 0) -> None:
        self._stream = stream
        self._name = name
        self._files: dict[str, _Stretch] = {}
        self._links: dict[str, str] = {}
        self._spooled_bytes = spooled_bytes
        self._is_cut_short = False
        self._read_index()

    @property
    def name(self) -> str:
        """The archive, for people."""
        return self._name

    @property
    def spooled_bytes(self) -> int:
        """What went to a temporary file."""
        return self._spooled_bytes

    @property
    def is_cut_short(self) -> bool:
        """Whether the blocks that end a tar are missing."""
        return self._is_cut_short

    def find(self, path: str) -> int | None:
        """The size in bytes of the file at `path`, None where there is none."""
        found = self._find(path)
        return None if found is None else found.size

    def iter_file(self, path: str, most: int | None = None) -> Iterator[bytes]:
        """The file's bytes, at most the first `most`. Raises ArchiveError."""
        found = self._find(path)
        if found is None:
            raise missing(self, path)
        at = found.offset
        end = at + (found.size if most is None else min(most, found.size))
        while at < end:
            chunk = self._read(at, min(CHUNK, end - at))
            if not chunk:
                raise self._cut_short(f"within {path}")
            yield chunk
            at += len(chunk)

    def close(self) -> None:
        """Let go of the file; a temporary one is gone then."""
        self._stream.close()

    def _find(self, path: str) -> _Stretch | None:
        for _ in range(_MOST_LINKS):
            found = self._files.get(path)
            if found is not None:
                return found
            if path not in self._links:
                return None
            path = self._links[path]
        return None

    def _read(self, at: int, count: int) -> bytes:
        try:
            return os.pread(self._stream.fileno(), count, at)
        except OSError as error:
            raise ArchiveError(f"{self._name} could not be read: {reason_of(error)}") from error

    def _read_index(self) -> None:
        try:
            with tarfile.open(fileobj=self._stream, mode="r:") as archive:
                for member in archive:
                    self._note(member)
                end = archive.offset
        except tarfile.ReadError as error:
            raise self._unreadable(str(error)) from error
        self._check_end(end)

    def _note(self, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath(member.name)
        self._files.pop(path, None)
        self._links.pop(path, None)
        if member.isreg():
            self._files[path] = _Stretch(member.offset_data, member.size)
        elif member.issym():
            folder = posixpath.dirname(path)
            self._links[path] = posixpath.normpath(posixpath.join(folder, member.linkname))
        elif member.islnk():
            self._links[path] = posixpath.normpath(member.linkname)

    def _check_end(self, end: int) -> None:
        """Check that the tar ends with zeros: tarfile also stops at a damaged or cut header."""
        block = self._read(end, _BLOCK)
        if len(block) == _BLOCK and any(block):
            raise ArchiveError(
                f"{self._name} is damaged: at byte {end} stands no tar header",
                advice="save or copy the image again",
            )
        if 0 < len(block) < _BLOCK:
            raise self._cut_short(f"at byte {end}")
        self._is_cut_short = not block

    def _unreadable(self, reason: str) -> ArchiveError:
        if not self._files and not self._links and "unexpected end" not in reason:
            return ArchiveError(
                f"{self._name} is no tar archive",
                advice="give a file that docker save, skopeo or the like wrote",
            )
        return self._cut_short("within an entry")

    def _cut_short(self, where: str) -> ArchiveError:
        return ArchiveError(
            f"{self._name} is cut short: it ends {where}", advice="save or copy the image again"
        )
