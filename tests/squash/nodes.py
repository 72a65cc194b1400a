"""Short ways to write the nodes of a tree, for the tables of traps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypedDict, Unpack

from squashproxy.testing import MTIME
from tests.model.node import Kind, Node

SECOND = 1_000_000_000

Literal = Mapping[str | bytes, Node]
"""A tree by path, as text where it can be."""


class Metadata(TypedDict, total=False):
    """What a node has beside its kind; `mtime` in seconds since 1970."""

    mode: int
    uid: int
    gid: int
    mtime: float
    xattrs: Mapping[str, bytes]


def file(content: bytes = b"", **metadata: Unpack[Metadata]) -> Node:
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(_node(Kind.FILE, 0o644, metadata), size=len(content), content=sha256)


def directory(**metadata: Unpack[Metadata]) -> Node:
    return _node(Kind.DIRECTORY, 0o755, metadata)


def symlink(target: str, **metadata: Unpack[Metadata]) -> Node:
    return replace(_node(Kind.SYMLINK, 0o777, metadata), target=target.encode())


def fifo(**metadata: Unpack[Metadata]) -> Node:
    return _node(Kind.FIFO, 0o644, metadata)


def character(major: int, minor: int, **metadata: Unpack[Metadata]) -> Node:
    return replace(_node(Kind.CHARACTER, 0o644, metadata), device=(major, minor))


def block(major: int, minor: int, **metadata: Unpack[Metadata]) -> Node:
    return replace(_node(Kind.BLOCK, 0o644, metadata), device=(major, minor))


MADE = Node(Kind.DIRECTORY, 0o755)
"""A directory that no entry describes, as squashproxy makes one and the tests' unpacker does."""


def linked(names: str, node: Node) -> dict[str | bytes, Node]:
    """One file under several names, written with spaces between them."""
    paths = sorted(name.encode() for name in names.split())
    return {name: replace(node, links=tuple(paths)) for name in names.split()}


def as_tree(literal: Literal) -> dict[bytes, Node]:
    """The tree with its paths as bytes."""
    return {
        path if isinstance(path, bytes) else path.encode(): node for path, node in literal.items()
    }


def _node(kind: Kind, mode: int, metadata: Metadata) -> Node:
    return Node(
        kind,
        metadata.get("mode", mode),
        metadata.get("uid", 0),
        metadata.get("gid", 0),
        int(Decimal(metadata.get("mtime", MTIME)) * SECOND),
        xattrs=tuple(sorted(metadata.get("xattrs", {}).items())),
    )
