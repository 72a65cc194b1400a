"""SymlinkMap: the symlinks of one layer, and where entries below them land.

All unpackers follow symlinks that the layer itself made (securejoin, fs.RootPath). They disagree
about symlinks of lower layers; those are treated as an overlay file system does.
"""

from __future__ import annotations

from typing import Self

from squashproxy.archive.path import BadEntry, check_length, join, parent_of
from squashproxy.squash.path_tree import BYTES_PER_NODE, PathNode, parts_of

_MAX_FOLLOWED = 40
_MAX_NAMES = 4096
"""The most names in one path, those in the targets of symlinks included."""


class _Node(PathNode):
    """A path at or above a symlink; `target` is None where there is no symlink."""

    __slots__ = ("target",)

    def __init__(self, above: Self | None = None, name: bytes = b"") -> None:
        super().__init__(above, name)
        self.target: bytes | None = None


class SymlinkMap:
    """Symlinks by path. Paths are normalised, targets are kept as written."""

    def __init__(self) -> None:
        self._root = _Node()
        self._count = 0
        self.memory = 0
        """An estimate, in bytes, of the memory that the symlinks take, names included."""

    def note(self, path: bytes, target: bytes) -> None:
        """Add a symlink at `path`."""
        node = self._root
        for name in parts_of(path):
            below = node.below.get(name)
            if below is None:
                below = node.add(name)
                self.memory += BYTES_PER_NODE + len(name)
            node = below
        self._count += node.target is None
        self.memory += len(target)
        node.target = target

    def forget(self, path: bytes) -> bool:
        """Something else takes the place of what is at `path`; True if that was a symlink."""
        node = self._root.find(path) if self._count else None
        if node is None or node.target is None:
            return False
        node.target = None
        self._count -= 1
        return True

    def lead(self, directory: bytes) -> bool:
        """Whether `directory` is one of the symlinks, or lies below one."""
        if not self._count:
            return False
        node = self._root
        for name in parts_of(directory):
            below = node.below.get(name)
            if below is None:
                return False
            if below.target is not None:
                return True
            node = below
        return False

    def resolve(self, path: bytes) -> bytes:
        """The path at which an entry lands: symlinks above it are followed within the image's root.

        Raises BadEntry for a circle, and for a path that becomes too long.
        """
        if not self._count or not self.lead(parent_of(path)):
            return path
        waiting = parts_of(path)[::-1]
        last = waiting.pop(0)
        names: list[bytes] = []
        nodes: list[_Node | None] = [self._root]
        followed = looked_at = 0
        while waiting:
            looked_at += 1
            if followed > _MAX_FOLLOWED or looked_at > _MAX_NAMES:
                raise BadEntry("lies behind symlinks that lead in a circle")
            part = waiting.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                del names[-1:], nodes[max(1, len(nodes) - 1) :]
                continue
            above = nodes[-1]
            here = None if above is None else above.below.get(part)
            if here is None or here.target is None:
                names.append(part)
                nodes.append(here)
                continue
            followed += 1
            waiting += reversed(here.target.split(b"/"))
            if here.target.startswith(b"/"):
                del names[:], nodes[1:]
        landed = join(b"/".join(names), last)
        check_length(landed)
        return landed
