"""Inodes and the names that lead to them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.model.node import Kind, Node


@dataclass(slots=True, eq=False)
class Inode:
    """A file of any type; equal only to itself, so that names that share it form a link group."""

    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    content: bytes = b""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> Inode:
        """Another inode with the same content and metadata."""
        return Inode(
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.mtime,
            self.content,
            self.target,
            self.device,
            dict(self.xattrs),
        )


def tree_of(names: Mapping[bytes, Inode]) -> dict[bytes, Node]:
    """The tree that a judge would read if the names stood on a disk."""
    groups: dict[Inode, list[bytes]] = defaultdict(list)
    for path, inode in names.items():
        groups[inode].append(path)
    tree = {}
    for inode, paths in groups.items():
        links = tuple(sorted(paths)) if len(paths) > 1 else ()
        node = _node(inode, links)
        for path in paths:
            tree[path] = node
    return tree


def _node(inode: Inode, links: tuple[bytes, ...]) -> Node:
    is_file = inode.kind is Kind.FILE
    return Node(
        kind=inode.kind,
        mode=inode.mode,
        uid=inode.uid,
        gid=inode.gid,
        mtime=inode.mtime,
        size=len(inode.content) if is_file else 0,
        content=hashlib.sha256(inode.content).hexdigest() if is_file else "",
        target=inode.target,
        device=inode.device,
        xattrs=tuple(sorted(inode.xattrs.items())),
        links=links,
    )
