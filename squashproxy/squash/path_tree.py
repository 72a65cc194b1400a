"""PathNode: a path as a node of a tree, so that work and memory stay linear in a path's bytes.

A path of 4,000 bytes may have 2,000 parts. A table that holds each path above an entry by its whole
name would take 4 MB for one such entry; a node holds only its own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

BYTES_PER_NODE = 320
"""About the memory that a node with a few fields takes, its name not included."""


class PathNode:
    """The node of a path: the root's own name is empty, and it lies above itself.

    Subclasses add what is known of the path.
    """

    __slots__ = ("above", "below", "name")

    def __init__(self, above: Self | None = None, name: bytes = b"") -> None:
        self.above: Self = self if above is None else above
        self.name = name
        self.below: dict[bytes, Self] = {}

    @property
    def path(self) -> bytes:
        """The path, normalised."""
        names = []
        node = self
        while node.above is not node:
            names.append(node.name)
            node = node.above
        return b"/".join(reversed(names))

    def find(self, path: bytes) -> Self | None:
        """The node at a normalised path below this one; None where there is none."""
        node = self
        for name in parts_of(path):
            found = node.below.get(name)
            if found is None:
                return None
            node = found
        return node

    def reach(self, path: bytes) -> Self:
        """The node at a normalised path below this one, made with those above it if need be."""
        node = self
        for name in parts_of(path):
            below = node.below.get(name)
            node = node.add(name) if below is None else below
        return node

    def add(self, name: bytes) -> Self:
        """Make the node of `name` directly below this one."""
        below = self.below[name] = type(self)(self, name)
        return below

    def iter_up(self) -> Iterator[Self]:
        """The node and all above it, the root last."""
        node = self
        while node.above is not node:
            yield node
            node = node.above
        yield node

    def iter_tree(self) -> Iterator[Self]:
        """The node and all below it, each after the one above it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.below.values()


def parts_of(path: bytes) -> list[bytes]:
    """The names in a normalised path; none for the root."""
    return path.split(b"/") if path else []
