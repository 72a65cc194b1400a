"""Reads a folder that an unpacker filled into a tree, as the kernel shows it."""

# ruff: noqa: PTH115, PTH118, PTH123 - names in layers are bytes, which pathlib does not take

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.model.node import Kind, Node

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
}
_OF_UNPACKERS = ("trusted.overlay.", "user.overlay.", "user.rootlesscontainers", "security.selinux")


def scan_tree(root: Path) -> dict[bytes, Node]:
    """The tree under `root`, without the root itself, which is the unpacker's.

    Symlinks are not followed. A name that is listed and cannot be opened is a phantom.
    """
    top = os.fsencode(root)
    tree: dict[bytes, Node] = {}
    inodes: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for path in _iter_paths(top, b""):
        full = os.path.join(top, path)
        try:
            status = os.lstat(full)
        except FileNotFoundError:
            tree[path] = Node(Kind.PHANTOM)
            continue
        tree[path] = _node(full, status)
        if not stat.S_ISDIR(status.st_mode):
            inodes[status.st_dev, status.st_ino].append(path)
    for names in inodes.values():
        if len(names) > 1:
            links = tuple(sorted(names))
            tree.update({name: replace(tree[name], links=links) for name in names})
    return tree


def _iter_paths(top: bytes, below: bytes) -> Iterator[bytes]:
    with os.scandir(os.path.join(top, below)) as entries:
        for entry in entries:
            path = os.path.join(below, entry.name)
            yield path
            if entry.is_dir(follow_symlinks=False):
                yield from _iter_paths(top, path)


def _node(full: bytes, status: os.stat_result) -> Node:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    is_file = kind is Kind.FILE
    is_device = kind in (Kind.CHARACTER, Kind.BLOCK)
    return Node(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns,
        size=status.st_size if is_file else 0,
        content=_sha256(full) if is_file else "",
        target=os.readlink(full) if kind is Kind.SYMLINK else b"",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
        xattrs=tuple(
            (name, os.getxattr(full, name, follow_symlinks=False))
            for name in sorted(os.listxattr(full, follow_symlinks=False))
            if not name.startswith(_OF_UNPACKERS)
        ),
    )


def _sha256(full: bytes) -> str:
    with open(full, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
