"""Checks that files can be written at a place, made before anything is read, also by a plan."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from squashproxy.atomic_file import resolved
from squashproxy.errors import ArchiveError, reason_of


def check_file(path: Path) -> None:
    """Raise ArchiveError where no file can be written at `path`."""
    with _looking_at(path, "file"):
        folder = resolved(path).parent
        if path.is_dir():
            raise ArchiveError(f"{path} is a folder", advice="name a file in it")
        if path.exists() and not path.is_file():
            return
    if not folder.is_dir():
        raise ArchiveError(
            f"{path} cannot be written: there is no folder {folder}", advice="make it first"
        )
    _check_access(path, folder)
    if path.exists() and not _may_be_replaced(path, folder):
        raise ArchiveError(
            f"{path} cannot be written: it belongs to another user, and in {folder} only "
            "the owner of a file may replace it",
            advice="name another file",
        )


def check_folder(path: Path) -> None:
    """Raise ArchiveError where no files can be written into a folder at `path`, new or not."""
    with _looking_at(path, "folder"):
        if path.is_symlink() and not path.exists():
            raise ArchiveError(
                f"{path} is a link to {path.readlink()}, which is not there",
                advice="name another folder",
            )
        there = path
        while not there.exists():
            there = there.parent
    if not there.is_dir():
        raise ArchiveError(
            f"{path} cannot be written: {there} is no folder", advice="name another folder"
        )
    _check_access(path, there)


@contextmanager
def _looking_at(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"{path} cannot be written: {reason_of(error)}", advice=f"name another {kind}"
        ) from error


def _may_be_replaced(path: Path, folder: Path) -> bool:
    """Whether a sticky folder, such as /tmp, lets this user replace the file."""
    status = folder.stat()
    allowed = (0, status.st_uid, path.stat().st_uid)
    return not status.st_mode & stat.S_ISVTX or os.geteuid() in allowed


def _check_access(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArchiveError(
            f"{path} cannot be written: the folder {folder} takes no new files",
            advice="get the permission to write there, or name another place",
        )
