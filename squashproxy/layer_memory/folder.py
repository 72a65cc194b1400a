"""A folder of records, bounded: what was not used for longest goes first.

1. A record is `KIND/ALGORITHM-HEX`. It appears complete or not at all (atomic_file.py).
2. `CACHEDIR.TAG` marks the folder: as ours, and as a cache for programs that make backups
   (bford.info/cachedir). A folder that is not empty and lacks that mark is not touched.
3. The time of a file's last change says when it was used last.
4. Processes share the folder without locks. A record that another process removes was not there;
   one that two of them write at once is the same, or one of them counts.
5. What a killed process left is removed once it is an hour older than the latest file, by the
   clock of the file system.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from squashproxy.atomic_file import AtomicFile, write_all
from squashproxy.digest import Digest
from squashproxy.errors import reason_of

MOST_BYTES = 512 << 20
"""The default bound of all files together."""

_MARK = "CACHEDIR.TAG"
_OURS = b"# This folder is a memory of layers of squashproxy.\n"
_MARK_CONTENT = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    + _OURS
    + b"# It can be deleted at any time: that costs time, and nothing else.\n"
)
_PARTIAL = ".squashproxy-"
_STALE_SECONDS = 3600
_LARGEST_SHARE = 4
"""No record takes more than a fourth of the folder."""
_UNCOUNTED_SHARE = 16
"""After a sixteenth of the bound was written, the files are counted again: others write, too."""
_BLOCK = 4096


class _File(NamedTuple):
    used: float
    size: int
    path: Path

    @property
    def is_partial(self) -> bool:
        return self.path.name.startswith(_PARTIAL)


class Folder:
    """The records below `root`, which is made when the first is kept; see RecordStore.

    A folder that cannot be used gets one warning, and from then on nothing is found and kept; one
    that cannot be written gets one, too, and is only read from then on.

    Whoever can write to the folder can decide what is dropped from layers, and what stands in their
    place. So it is made for its owner alone.
    """

    def __init__(
        self, root: Path, warn: Callable[[str], None], most_bytes: int = MOST_BYTES
    ) -> None:
        self._root = root
        self._warn = warn
        self._most_bytes = most_bytes
        self._uncounted = most_bytes
        self._can_read = True
        self._can_write = True
        self._is_checked = False
        self._lock = threading.Lock()

    def find(self, kind: str, layer: Digest) -> bytes | None:
        """The record; it counts as used now."""
        if not self._is_usable():
            return None
        path = self._path(kind, layer)
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > self._largest:
                    return b""
                record = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._stop(f"{path} cannot be read: {reason_of(error)}")
            return None
        with suppress(OSError):
            os.utime(path)
        return record

    def keep(self, kind: str, layer: Digest, record: bytes) -> None:
        """Keep a record, unless it is too large for the folder."""
        if len(record) > self._largest or not self._is_usable() or not self._can_write:
            return
        path = self._path(kind, layer)
        try:
            self._mark()
            path.parent.mkdir(exist_ok=True)
            # A record that a power cut damaged is found out by its own digest, and costs a reading.
            with AtomicFile(path.parent, lasts=False) as file:
                write_all(file.stream, record)
                file.publish(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self._stop_writing(f"{self._root} cannot be written: {reason_of(error)}")
            return
        self._count(len(record))

    def reject(self, kind: str, layer: Digest, reason: str) -> None:
        """Delete a record."""
        path = self._path(kind, layer)
        with suppress(OSError):
            path.unlink()
        self._warn(f"{path} {reason}: it was deleted, and the layer is read again")

    @property
    def _largest(self) -> int:
        return self._most_bytes // _LARGEST_SHARE

    def _path(self, kind: str, layer: Digest) -> Path:
        return self._root / kind / layer.replace(":", "-")

    def _is_usable(self) -> bool:
        if self._can_read and not self._is_checked:
            try:
                refusal = self._find_refusal()
            except OSError as error:
                refusal = f"cannot be read: {reason_of(error)}"
            if refusal:
                self._stop(f"{self._root} {refusal}")
        return self._can_read

    def _find_refusal(self) -> str | None:
        """Why the folder is not used. One that is not there yet is looked at again later."""
        try:
            status = self._root.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return "is no folder"
        if not self._is_marked() and _holds_anything(self._root):
            return "holds something else"
        self._is_checked = True
        return None

    def _is_marked(self) -> bool:
        try:
            with (self._root / _MARK).open("rb") as file:
                return _OURS in file.read(len(_MARK_CONTENT) + 1)
        except FileNotFoundError:
            return False

    def _mark(self) -> None:
        """Make the folder ours, if it is not yet."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._is_marked():
            with AtomicFile(self._root) as file, suppress(FileExistsError):
                write_all(file.stream, _MARK_CONTENT)
                file.publish_new(self._root / _MARK)

    def _stop(self, fact: str) -> None:
        with self._lock:
            could, self._can_read = self._can_read, False
        if could:
            self._warn(f"{fact}; layers are not remembered")

    def _stop_writing(self, fact: str) -> None:
        with self._lock:
            could, self._can_write = self._can_write, False
        if could:
            self._warn(f"{fact}; what is new is not remembered")

    def _count(self, size: int) -> None:
        """Remove files above the bound, now and then."""
        with self._lock:
            self._uncounted += _on_disk(size)
            if self._uncounted < self._most_bytes // _UNCOUNTED_SHARE:
                return
            self._uncounted = 0
        self._trim()

    def _trim(self) -> None:
        files = sorted(self._iter_files())
        total = sum(file.size for file in files)
        latest = files[-1].used if files else 0.0
        for file in files:
            is_stale = file.is_partial and file.used < latest - _STALE_SECONDS
            if is_stale or (total > self._most_bytes and not file.is_partial):
                with suppress(OSError):
                    file.path.unlink()
                total -= file.size

    def _iter_files(self) -> Iterator[_File]:
        for folder in (self._root, *_folders(self._root)):
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode) and entry.name != _MARK:
                            size = _on_disk(status.st_size)
                            yield _File(status.st_mtime, size, Path(entry.path))


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _holds_anything(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return not all(entry.name.startswith(_PARTIAL) for entry in entries)


def _folders(root: Path) -> list[Path]:
    with suppress(OSError), os.scandir(root) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []
