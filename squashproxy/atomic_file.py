"""AtomicFile: a file that appears complete or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_ANYONE = 0o666
_PERMISSIONS = 0o777
_OWN_FILES = "/proc/self/fd"
_PIECE = 1 << 20
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What file systems answer that cannot flush a folder, as some over networks."""


class AtomicFile:
    """A file that is being written; `stream` is unbuffered and can be written and read.

    On Linux the file has no name until it is published, so nothing remains of it however the
    process ends. On file systems without that feature, such as NFS, it is called
    `.squashproxy-*.partial`, and a process that is killed leaves it behind. When another file is
    replaced, that name exists for a moment on all file systems. Whoever writes such a file holds a
    lock on it, so `clear_abandoned` knows those that nobody writes.

    A published file survives a power cut: its content is on the disk before it gets its name, and
    the name is there when `publish` returns. Without `lasts`, the system decides when to write it,
    so the file may be empty after a power cut. Raises OSError.
    """

    def __init__(self, folder: Path, *, lasts: bool = True) -> None:
        self._lasts = lasts
        self._name: Path | None = None
        self._copy: IO[bytes] | None = None
        descriptor = _open_unnamed(folder)
        if descriptor is None:
            self._name, descriptor = _open_named(folder)
        self.stream: IO[bytes] = os.fdopen(descriptor, "w+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()

    def publish(self, path: Path) -> None:
        """Make the file appear at `path`, on the same file system; replace any file there.

        A replaced file passes its permissions on to the new one.
        """
        try:
            self.publish_new(path)
        except FileExistsError:
            os.fchmod(self.stream.fileno(), path.stat().st_mode & _PERMISSIONS)
            self._named_in(path.parent).replace(path)
            self._end(path)

    def publish_new(self, path: Path) -> None:
        """Make the file appear at `path`. Raises FileExistsError if anything is there."""
        if self._lasts:
            os.fsync(self.stream.fileno())
        try:
            if self._name is None:
                self._link_unnamed(path)
            else:
                os.link(self._name, path)
        except FileExistsError:
            raise
        except OSError:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            self._named_in(path.parent).rename(path)
        self._end(path)

    def _end(self, path: Path) -> None:
        """Let go of the file, which has its name."""
        if self._lasts:
            sync_folder(path.parent)
        self.abandon()

    def _named_in(self, folder: Path) -> Path:
        """The file's name; it is given one if it has none."""
        if self._name is None:
            name = self._name = _partial_name(folder)
            try:
                self._link_unnamed(name)
            except OSError:
                self._copy_to(name)
        return self._name

    def _link_unnamed(self, path: Path) -> None:
        own = self.stream.fileno()
        # Python calls linkat, which can follow the link in /proc, only with `src_dir_fd`. The
        # system ignores that descriptor for an absolute path.
        os.link(Path(_OWN_FILES, str(own)), path, src_dir_fd=own, follow_symlinks=True)

    def _copy_to(self, name: Path) -> None:
        """Copy the file, since the system cannot give it a name."""
        copy = self._copy = name.open("xb", buffering=0)
        _hold(copy.fileno())
        mode = os.fstat(self.stream.fileno()).st_mode & _PERMISSIONS
        os.fchmod(copy.fileno(), mode)
        self.stream.seek(0)
        while piece := self.stream.read(_PIECE):
            write_all(copy, piece)
        if self._lasts:
            os.fsync(copy.fileno())

    def abandon(self) -> None:
        """Discard the file, and the name that it had before it was published."""
        self.stream.close()
        if self._copy is not None:
            self._copy.close()
        if self._name is not None:
            self._name.unlink(missing_ok=True)
            self._name = None


def write_all(stream: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of `data`; an unbuffered stream may accept less in one call."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, and replace a file that is there.

    If that fails, nothing of the new file is left. A pipe or device is written to directly. Raises
    OSError, which names `path`.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        whole = resolved(path)
        clear_abandoned(whole.parent)
        with AtomicFile(whole.parent) as file:
            write_all(file.stream, text.encode())
            file.publish(whole)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def is_partial(path: Path) -> bool:
    """Whether a path is that of a file which is being written, or was abandoned."""
    return path.match(_partial_name_of("*"))


def clear_abandoned(folder: Path) -> None:
    """Remove what killed processes left in a folder; files that are being written stay."""
    for path in folder.glob(_partial_name_of("*")):
        with suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, as far as the file system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be written all the same
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def resolved(path: Path) -> Path:
    """`path` with symlinks followed; it need not exist. Raises OSError for a circle."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except FileNotFoundError:
        return Path(os.path.realpath(path))


def _open_unnamed(folder: Path) -> int | None:
    """Open a file without a name; None if the system or file system cannot do that."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, _ANYONE)
    except OSError:
        return None
    if not Path(_OWN_FILES, str(descriptor)).exists():
        os.close(descriptor)
        return None
    _hold(descriptor)
    return descriptor


def _open_named(folder: Path) -> tuple[Path, int]:
    while True:
        name = _partial_name(folder)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, _ANYONE)
        _hold(descriptor)
        if os.fstat(descriptor).st_nlink:  # else it was cleared before it was held
            return name, descriptor
        os.close(descriptor)


def _hold(descriptor: int) -> None:
    with suppress(OSError):  # where files cannot be locked, none is cleared
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _partial_name(folder: Path) -> Path:
    return folder / _partial_name_of(secrets.token_hex(8))


def _partial_name_of(middle: str) -> str:
    return f".squashproxy-{middle}.partial"
