"""Entries below a symlink: unpackers follow a symlink that the same layer made.

A lower layer's symlink is replaced by a directory instead, as in an overlay file system.
"""

from __future__ import annotations

from typing import TypeGuard

from squashproxy.verify.names import BadName, check_length
from squashproxy.verify.tree import Directory, Inode, Kind, Node, Tree

_MAX_FOLLOWED = 40
_MAX_NAMES = 4096
"""The most names in one path, those in the targets of symlinks included."""


def resolve(tree: Tree, path: bytes, layer: int) -> bytes:
    """`path` with the symlinks of `layer` above its last name followed, within the image's root.

    Raises BadName for a circle.
    """
    if not _is_behind_symlink(tree, path, layer):
        return path
    *above, last = path.split(b"/")
    waiting = above[::-1]
    names: list[bytes] = []
    nodes: list[Node | None] = [tree.root]
    followed = looked_at = 0
    while waiting:
        looked_at += 1
        if looked_at > _MAX_NAMES:
            raise BadName("lies behind symlinks that lead in a circle")
        name = waiting.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            del names[-1:], nodes[max(1, len(nodes) - 1) :]
            continue
        node = _child(nodes[-1], name)
        if not _is_own_symlink(node, layer):
            names.append(name)
            nodes.append(node)
            continue
        followed += 1
        if followed > _MAX_FOLLOWED:
            raise BadName("lies behind symlinks that lead in a circle")
        if node.payload.startswith(b"/"):
            del names[:], nodes[1:]
        waiting.extend(reversed(node.payload.split(b"/")))
    landed = b"/".join([*names, last])
    check_length(landed)
    return landed


def _is_behind_symlink(tree: Tree, path: bytes, layer: int) -> bool:
    node: Node | None = tree.root
    for name in path.split(b"/")[:-1]:
        node = _child(node, name)
        if not isinstance(node, Directory):
            return _is_own_symlink(node, layer)
    return False


def _child(node: Node | None, name: bytes) -> Node | None:
    return node.children.get(name) if isinstance(node, Directory) else None


def _is_own_symlink(node: Node | None, layer: int) -> TypeGuard[Inode]:
    return isinstance(node, Inode) and node.kind is Kind.SYMLINK and node.layer == layer
