"""Opening archives for reading: files, compressed files, and standard input."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from select import select
from typing import IO

from squashproxy.atomic_file import write_all
from squashproxy.codec.compression import iter_decompressed, sniff
from squashproxy.errors import ArchiveError, BadCompression, advice_of, reason_of
from squashproxy.location import COLON_RULE, STANDARD_STREAM
from squashproxy.oci.mediatypes import Compression
from squashproxy.streams import CHUNK
from squashproxy.transports.standard import open_standard_input
from squashproxy.transports.tarball import Tarball

_UNREAD = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
_MAGIC = 6
_WAKING_SECONDS = 0.25
"""The longest wait in seconds, since a signal just before a wait is noticed only after it."""


def open_archive(path: str) -> Tarball:
    """The files of the tar at `path`, or on standard input for `-`.

    A stream that can be read only once, and a compressed file, is written to a temporary file
    first: layers are read from the top down, and archives hold them in any order, with their list
    at the end. That file has no name, so nothing of it stays however the process ends. Raises
    ArchiveError, BadCompression, and UsageError for a terminal.
    """
    is_stdin = path == STANDARD_STREAM
    name = "the archive on standard input" if is_stdin else path
    stream = _open(path, name, is_stdin=is_stdin)
    try:
        return _index(stream, name)
    except BaseException:
        stream.close()
        raise


def _open(path: str, name: str, *, is_stdin: bool) -> IO[bytes]:
    if is_stdin:
        return open_standard_input()
    try:
        return Path(path).open("rb", buffering=0)
    except FileNotFoundError as error:
        raise ArchiveError(
            f"{name} is not there", advice=f"check the path, {COLON_RULE}"
        ) from error
    except IsADirectoryError as error:
        raise ArchiveError(
            f"{name} is a folder",
            advice="name an archive in it, or name the folder as oci: if it is an OCI layout",
        ) from error
    except OSError as error:
        raise ArchiveError(
            f"{name} could not be opened: {reason_of(error)}",
            advice=advice_of(error, "make it readable first"),
        ) from error


def _index(stream: IO[bytes], name: str) -> Tarball:
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode):
        return _spooled(stream, _read_once(stream, name), name)
    if not status.st_size:
        raise ArchiveError(f"{name} is empty", advice="save or copy the image again")
    start = os.pread(stream.fileno(), _MAGIC, 0)
    if _is_compressed(start, name):
        return _spooled(stream, _read_once(stream, name), name)
    stream.seek(0)
    return Tarball(stream, name)


def _spooled(stream: IO[bytes], chunks: Iterator[bytes], name: str) -> Tarball:
    first = next(chunks, b"")
    if not first:
        raise ArchiveError(
            f"{name} is empty: nothing was written to it",
            advice="see what the command that should have written says",
        )
    pieces = _with_first(first, chunks)
    if _is_compressed(first, name):
        pieces = (chunk.content for chunk in iter_decompressed(pieces, name, None))
    spool = new_spool()
    try:
        size = _fill(spool, pieces, name)
        spool.seek(0)
        stream.close()
        return Tarball(spool, name, size)
    except BaseException:
        spool.close()
        raise


def _fill(spool: IO[bytes], pieces: Iterator[bytes], name: str) -> int:
    try:
        return fill_spool(spool, pieces, name)
    except BadCompression as error:
        raise BadCompression(f"{error.fact}", advice="save or copy the image again") from error


def new_spool() -> IO[bytes]:
    """A temporary file without a name. Raises ArchiveError where none can be made."""
    try:
        return tempfile.TemporaryFile(prefix="squashproxy-", buffering=0)
    except OSError as error:
        raise ArchiveError(
            f"no temporary file can be made in {tempfile.gettempdir()}: {reason_of(error)}",
            advice=advice_of(error, "set TMPDIR to a folder with room"),
        ) from error


def fill_spool(spool: IO[bytes], chunks: Iterator[bytes], name: str) -> int:
    """Write all `chunks` to a spool and return their size; `name` names them in errors."""
    size = 0
    for chunk in chunks:
        try:
            write_all(spool, chunk)
        except OSError as error:
            raise ArchiveError(
                f"{name} does not fit into {tempfile.gettempdir()} ({reason_of(error)})",
                advice="set TMPDIR to a folder with room",
            ) from error
        size += len(chunk)
    return size


def _is_compressed(start: bytes, name: str) -> bool:
    for magic, kind in _UNREAD.items():
        if start.startswith(magic):
            raise ArchiveError(
                f"{name} is compressed with {kind}, which is not supported",
                advice="decompress it first",
            )
    return sniff(start) is not Compression.NONE


def _read_once(stream: IO[bytes], name: str) -> Iterator[bytes]:
    while True:
        try:
            while not select([stream], [], [], _WAKING_SECONDS)[0]:
                continue
            chunk = stream.read(CHUNK)
        except OSError as error:
            raise ArchiveError(f"{name} could not be read: {reason_of(error)}") from error
        if not chunk:
            return
        yield chunk


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
