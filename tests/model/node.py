"""What a file system holds at one path: the form in which all unpackers' trees are compared.

A tree is a dict from path to `Node`. Paths are raw bytes, relative to the root, which is `b""`.
Nothing here, nor in the rest of tests/model, imports the product: it says what is true by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum


class Kind(Enum):
    """The type of a file. `PHANTOM` is a name that a directory lists and that cannot be opened."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"
    CHARACTER = "character device"
    BLOCK = "block device"
    PHANTOM = "phantom"


@dataclass(frozen=True, slots=True)
class Node:
    """One path of a tree.

    `mtime` counts nanoseconds, `size` bytes (of files only), `content` is the sha256 of a file,
    `links` the sorted names that share the inode, or empty where the name stands alone.
    """

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    content: str = ""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    links: tuple[bytes, ...] = ()


Tree = Mapping[bytes, Node]
Ignore = Callable[[bytes, str], bool]

_FIELDS = tuple(field.name for field in fields(Node))


def parent_of(path: bytes) -> bytes:
    """The directory that holds `path`; the root for a name without a slash."""
    return path.rpartition(b"/")[0]


def ancestors(path: bytes) -> Iterable[bytes]:
    """Every directory above `path`, nearest first, without the root."""
    while path := parent_of(path):
        yield path


def compare_trees(expected: Tree, found: Tree, ignore: Ignore | None = None) -> list[str]:
    """The differences as sentences, in path order; empty where the trees are the same.

    `ignore(path, field)` true leaves that field of that path out; the field `"path"` stands for
    the path as a whole.
    """
    if ignore is None and expected == found:
        return []
    skip = ignore or (lambda _path, _field: False)
    lines: list[str] = []
    for path in sorted(expected.keys() | found.keys()):
        if not skip(path, "path"):
            lines += _differences(path, expected.get(path), found.get(path), skip)
    return lines


def _differences(path: bytes, one: Node | None, two: Node | None, skip: Ignore) -> list[str]:
    if one is None:
        return [f"{path!r}: appears from nowhere as {two}"]
    if two is None:
        return [f"{path!r}: is lost, was {one}"]
    return [
        f"{path!r}: {name} is {getattr(two, name)!r} and should be {getattr(one, name)!r}"
        for name in _FIELDS
        if getattr(one, name) != getattr(two, name) and not skip(path, name)
    ]
