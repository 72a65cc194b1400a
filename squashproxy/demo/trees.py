"""What an image unpacks to, found out the plain way: with tarfile, bottom layer first.

It shares no code with the merge, since it is the witness of its result. It is small because it may
be slow: a whole image is held in memory.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class Node:
    """One path's metadata; `content` is a sha256 for files, the target for symbolic links.

    Paths with the same `inode` are hard links of each other.
    """

    kind: bytes
    mode: int
    owner: tuple[int, int]
    mtime: int
    content: str
    inode: int


Tree = dict[str, Node]


def unpack(layers: Iterable[bytes]) -> Tree:
    """Apply gzip-compressed or plain layers, base first."""
    tree: Tree = {}
    serial = 0
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer), mode="r:*") as archive:
            members = archive.getmembers()
            for member in members:
                _apply_whiteout(tree, posixpath.normpath(member.name))
            for member in members:
                serial += 1
                _add(tree, archive, member, serial)
    return tree


def differences(before: Tree, after: Tree) -> list[str]:
    """A sentence for every path that is not the same in both trees, hard links included."""
    found = []
    links_before, links_after = _link_groups(before), _link_groups(after)
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            found.append(f"{path}: only in the {'result' if one is None else 'source'}")
        elif replace(one, inode=0) != replace(other, inode=0):
            found.append(f"{path}: {one} in the source, {other} in the result")
        elif links_before[one.inode] != links_after[other.inode]:
            found.append(f"{path}: its hard links differ")
    return found


def _apply_whiteout(tree: Tree, path: str) -> None:
    folder, name = posixpath.split(path)
    if name == _OPAQUE:
        _remove_below(tree, folder)
    elif name.startswith(_WHITEOUT):
        target = posixpath.join(folder, name.removeprefix(_WHITEOUT))
        tree.pop(target, None)
        _remove_below(tree, target)


def _add(tree: Tree, archive: tarfile.TarFile, member: tarfile.TarInfo, serial: int) -> None:
    path = posixpath.normpath(member.name)
    if posixpath.basename(path).startswith(_WHITEOUT):
        return
    if not member.isdir():
        _remove_below(tree, path)
    if member.islnk():
        tree[path] = tree[posixpath.normpath(member.linkname)]
        return
    content = member.linkname
    if member.isreg():
        stream = archive.extractfile(member)
        assert stream is not None, "a regular file has content"
        content = hashlib.sha256(stream.read()).hexdigest()
    owner = (member.uid, member.gid)
    tree[path] = Node(member.type, member.mode, owner, int(member.mtime), content, serial)


def _remove_below(tree: Tree, folder: str) -> None:
    prefix = f"{folder}/" if folder else ""
    for path in [path for path in tree if path.startswith(prefix)]:
        del tree[path]


def _link_groups(tree: Tree) -> dict[int, frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for path, node in tree.items():
        groups.setdefault(node.inode, set()).add(path)
    return {inode: frozenset(paths) for inode, paths in groups.items()}
