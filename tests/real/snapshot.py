"""Layers as a snapshotter makes them: change an overlay mount, then read its upper directory."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_OPAQUE = "trusted.overlay.opaque"
_PLAIN = "redirect_dir=off,metacopy=off,index=off,xino=off"
_SECOND = 1_000_000_000


@contextmanager
def mounted(lower: Sequence[Path], upper: Path, work: Path) -> Iterator[Path]:
    """The merged view of the lower directories, base first, below an empty upper one."""
    root = work / "root"
    for folder in (upper, work / "work", root):
        folder.mkdir(parents=True, exist_ok=True)
    if not lower:
        yield upper
        return
    stacked = ":".join(str(folder) for folder in reversed(lower))
    options = f"lowerdir={stacked},upperdir={upper},workdir={work / 'work'},{_PLAIN}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", root], check=True)


def write_upper(upper: Path, sink: IO[bytes]) -> None:
    """Write an upper directory as a layer tar: whiteouts and opaque markers in place of overlay's.

    Names are sorted, parents come first, times keep their nanoseconds, hard links are links.
    """
    first: dict[tuple[int, int], str] = {}
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in _walk(upper):
            name = path.relative_to(upper).as_posix()
            status = path.lstat()
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                tar.addfile(tarfile.TarInfo(_sibling(name, f".wh.{path.name}")))
                continue
            _add(tar, path, name, status, first)
            if stat.S_ISDIR(status.st_mode) and _is_opaque(path):
                tar.addfile(tarfile.TarInfo(f"{name}/.wh..wh..opq"))


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _sibling(name: str, other: str) -> str:
    parent, slash, _ = name.rpartition("/")
    return f"{parent}{slash}{other}"


def _is_opaque(path: Path) -> bool:
    return _OPAQUE in os.listxattr(path) and os.getxattr(path, _OPAQUE) == b"y"


def _add(
    tar: tarfile.TarFile,
    path: Path,
    name: str,
    status: os.stat_result,
    first: dict[tuple[int, int], str],
) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    whole, rest = divmod(status.st_mtime_ns, _SECOND)
    info.mtime = whole
    if rest:
        info.pax_headers = {"mtime": f"{whole}.{rest:09}"}
    linked = first.setdefault((status.st_dev, status.st_ino), name)
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif linked != name:
        info.type, info.linkname = tarfile.LNKTYPE, linked
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        info.size = status.st_size
        with path.open("rb") as file:
            tar.addfile(info, file)
        return
    else:
        raise ValueError(f"{path}: a package with a {stat.filemode(status.st_mode)!r}")
    tar.addfile(info)
