"""Files that appear as a whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_ANYONE = 0o666
_PERMISSIONS = 0o777
_OWN_FILES = "/proc/self/fd"
_PIECE = 1 << 20


class AtomicFile:
    """A file in the making; `stream` is unbuffered, and written to and read from at will.

    On Linux it has no name until it is published, so nothing of it stays, however the process
    ends. File systems that cannot do that (NFS among them) show it as `.squashproxy-*.partial`,
    which only a process that is killed leaves behind; elsewhere that name is seen for the moment
    in which another file is replaced. Raises OSError.
    """

    def __init__(self, folder: Path) -> None:
        self._name: Path | None = None
        descriptor = _open_unnamed(folder)
        if descriptor is None:
            self._name = _partial_name(folder)
            descriptor = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL, _ANYONE)
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
        """Let it appear at `path`, on the same file system, in place of a file that is there.

        The new file gets the permissions of the old one.
        """
        try:
            self.publish_new(path)
        except FileExistsError:
            os.fchmod(self.stream.fileno(), path.stat().st_mode & _PERMISSIONS)
            self._named_in(path.parent).replace(path)
            self.abandon()

    def publish_new(self, path: Path) -> None:
        """Let it appear at `path`. Raises FileExistsError where something is there already."""
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
        self.abandon()

    def _named_in(self, folder: Path) -> Path:
        """The file's name, which it gets if it has none."""
        if self._name is None:
            name = self._name = _partial_name(folder)
            try:
                self._link_unnamed(name)
            except OSError:
                self._copy_to(name)
        return self._name

    def _link_unnamed(self, path: Path) -> None:
        own = self.stream.fileno()
        # A descriptor of a directory is what makes Python ask for linkat, which follows the link
        # that /proc shows; of an absolute path it is not looked at.
        os.link(Path(_OWN_FILES, str(own)), path, src_dir_fd=own, follow_symlinks=True)

    def _copy_to(self, name: Path) -> None:
        """Where the system gives no name after all: better late than lost."""
        with name.open("xb", buffering=0) as copy:
            mode = os.fstat(self.stream.fileno()).st_mode & _PERMISSIONS
            os.fchmod(copy.fileno(), mode)
            self.stream.seek(0)
            while piece := self.stream.read(_PIECE):
                write_all(copy, piece)

    def abandon(self) -> None:
        """Forget it, and the name that it had before it was published."""
        self.stream.close()
        if self._name is not None:
            self._name.unlink(missing_ok=True)
            self._name = None


def write_all(stream: IO[bytes], data: bytes | memoryview) -> None:
    """Write the whole of `data`: an unbuffered stream may take less at once."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def resolved(path: Path) -> Path:
    """Where a file at `path` is or would be, symlinks followed. Raises OSError for a circle."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except FileNotFoundError:
        return Path(os.path.realpath(path))


def _open_unnamed(folder: Path) -> int | None:
    """A file without a name that can get one; None where system or file system have none."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, _ANYONE)
    except OSError:
        return None
    if not Path(_OWN_FILES, str(descriptor)).exists():
        os.close(descriptor)
        return None
    return descriptor


def _partial_name(folder: Path) -> Path:
    return folder / f".squashproxy-{secrets.token_hex(8)}.partial"
