"""Writing a tar whose blobs are measured while they are written."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO

from squashproxy.atomic_file import AtomicFile, clear_abandoned, resolved, write_all
from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.errors import ArchiveError, IntegrityError, advice_of, reason_of
from squashproxy.location import STANDARD_STREAM
from squashproxy.streams import CHUNK
from squashproxy.transports.open import fill_spool, new_spool
from squashproxy.transports.standard import open_standard_output

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_FILE_MODE = 0o644
_FOLDER_MODE = 0o755

PathOf = Callable[[Digest], str]


@dataclass(frozen=True, slots=True)
class Written:
    """A file in the tar; `offset` and `size` in bytes."""

    digest: Digest
    offset: int
    size: int


class TarWriter:
    """A tar that appears at `path` when it is finished, or is written to standard output for `-`.

    Entries depend on name and content alone: no time, no owner. Files are added one at a time, from
    any thread. Raises ArchiveError where the system refuses, UsageError for a terminal.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard output" if path == STANDARD_STREAM else path
        self.spooled_bytes = 0
        self._lock = Lock()
        self._at = 0
        self._file: AtomicFile | None = None
        self._stream = self._open(path)
        self.is_seekable = self._file is not None

    def add_folder(self, path: str) -> None:
        """Add a directory."""
        with self._lock:
            self._write(_header(path, 0, tarfile.DIRTYPE))

    def add_document(self, path: str, data: bytes) -> None:
        """Add a small file under its own path."""
        with self._lock:
            self._write(_header(path, len(data)))
            self._write(data)
            self._pad(len(data))

    def add(
        self, chunks: Iterable[Chunk], path_of: PathOf, digest: Digest | None, size: int | None
    ) -> Written:
        """Add a file of all `chunks` under the path that its digest gives.

        In front of a pipe, a file without a known `digest` and `size` goes to a temporary file
        first. Raises IntegrityError if the chunks have another digest or size. If anything raises,
        the tar is as it was before, unless it is a pipe.
        """
        if self.is_seekable:
            with self._lock:
                return self._add_measured(chunks, path_of, digest)
        if digest is not None and size is not None:
            with self._lock:
                return self._add_known(chunks, path_of, digest, size)
        with new_spool() as spool:
            hasher = Hasher(digest)
            count = fill_spool(spool, _hashed(chunks, hasher), "what goes to standard output")
            _check(hasher, digest, None)
            spool.seek(0)
            with self._lock:
                self.spooled_bytes += count
                return self._add_known(_iter_stream(spool), path_of, hasher.digest, count)

    def iter_written(self, written: Written) -> Iterator[bytes]:
        """A file that was added, read back; not from a pipe."""
        at, end = written.offset, written.offset + written.size
        while at < end:
            chunk = os.pread(self._stream.fileno(), min(CHUNK, end - at), at)
            if not chunk:
                raise ArchiveError(f"{self.name} lost what was written to it")
            yield chunk
            at += len(chunk)

    def finish(self, may_replace: Callable[[], bool]) -> None:
        """End the tar, and let it appear.

        If another file exists at its path by then, `may_replace` is called. It returns False if the
        file is gone again, and raises if the file must stay.
        """
        with self._lock:
            self._write(_END)
            if self._file is None:
                self._stream.close()
                return
            try:
                self._publish(self._file, may_replace)
            except OSError as error:
                raise self._refused(error) from error

    def abandon(self) -> None:
        """Remove the tar if it is not finished."""
        self._stream.close()
        if self._file is not None:
            self._file.abandon()

    def _publish(self, file: AtomicFile, may_replace: Callable[[], bool]) -> None:
        while True:
            try:
                file.publish_new(self._target)
            except FileExistsError:
                if may_replace():
                    file.publish(self._target)
                    return
            else:
                return

    def _open(self, path: str) -> IO[bytes]:
        try:
            if path == STANDARD_STREAM:
                return open_standard_output()
            if Path(path).exists() and not Path(path).is_file():
                return Path(path).open("wb", buffering=0)
            self._target = resolved(Path(path))
            clear_abandoned(self._target.parent)
            self._file = AtomicFile(self._target.parent)
        except OSError as error:
            raise self._refused(error) from error
        return self._file.stream

    def _add_measured(
        self, chunks: Iterable[Chunk], path_of: PathOf, digest: Digest | None
    ) -> Written:
        """Write the header again when size and digest are known."""
        start = self._at
        hasher = Hasher(digest)
        try:
            self._write(bytes(_BLOCK))
            for chunk in _hashed(chunks, hasher):
                self._write(chunk)
            _check(hasher, digest, None)
            self._pad(hasher.size)
            header = _header(path_of(hasher.digest), hasher.size)
            os.pwrite(self._stream.fileno(), header, start)
        except BaseException:
            self._cut(start)
            raise
        return Written(hasher.digest, start + _BLOCK, hasher.size)

    def _add_known(
        self, chunks: Iterable[Chunk], path_of: PathOf, digest: Digest, size: int
    ) -> Written:
        hasher = Hasher(digest)
        self._write(_header(path_of(digest), size))
        start = self._at
        for chunk in _hashed(chunks, hasher):
            if hasher.size > size:
                break
            self._write(chunk)
        _check(hasher, digest, size)
        self._pad(size)
        return Written(digest, start, size)

    def _write(self, data: Chunk) -> None:
        try:
            write_all(self._stream, data)
        except OSError as error:
            raise self._refused(error) from error
        self._at += len(data)

    def _pad(self, size: int) -> None:
        self._write(bytes(-size % _BLOCK))

    def _cut(self, start: int) -> None:
        """Remove everything from `start` on, so that the next file begins there."""
        self._stream.seek(start)
        self._stream.truncate()
        self._at = start

    def _refused(self, error: OSError) -> ArchiveError:
        if isinstance(error, BrokenPipeError):
            return ArchiveError(
                f"{self.name} was closed by its reader after {self._at} bytes",
                advice="see what that says",
            )
        left = "nothing of it was left behind"
        if self._file is None and self._at:
            left = f"it got {self._at} bytes of an archive that has no end, throw them away"
        return ArchiveError(
            f"{self.name} could not be written: {reason_of(error)}; {left}", advice=advice_of(error)
        )


def _header(path: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(path)
    entry.size = size
    entry.type = kind
    entry.mode = _FOLDER_MODE if kind == tarfile.DIRTYPE else _FILE_MODE
    return entry.tobuf(tarfile.GNU_FORMAT)


def _hashed(chunks: Iterable[Chunk], hasher: Hasher) -> Iterator[bytes]:
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk  # type: ignore[misc]  # a memoryview serves as well


def _check(hasher: Hasher, digest: Digest | None, size: int | None) -> None:
    if digest not in (None, hasher.digest) or size not in (None, hasher.size):
        raise IntegrityError(
            f"a blob of {hasher.size} bytes has the digest {hasher.digest} instead of {digest}; "
            "it was changed on its way"
        )


def _iter_stream(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk
