"""PathMap: values by path, found above and below a path in work that is linear in its length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Node(Generic[T]):
    value: T | None = None
    below: dict[bytes, _Node[T]] = field(default_factory=dict)


class PathMap(Generic[T]):
    """Maps normalised paths to values."""

    def __init__(self) -> None:
        self._root = _Node[T]()

    def __contains__(self, path: bytes) -> bool:
        node = self._find(path)
        return node is not None and node.value is not None

    def put(self, path: bytes, value: T) -> None:
        """Set the value of a path."""
        self._reach(path).value = value

    def set_default(self, path: bytes, value: T) -> None:
        """Set the value of a path that has none."""
        node = self._reach(path)
        if node.value is None:
            node.value = value

    def take(self, path: bytes) -> T | None:
        """Remove and return the value of a path; None where it has none."""
        node = self._find(path)
        if node is None:
            return None
        value, node.value = node.value, None
        return value

    def remove_below(self, path: bytes) -> None:
        """Remove the values of all paths below this one."""
        node = self._find(path)
        if node is not None:
            node.below.clear()

    def iter_above(self, path: bytes) -> Iterator[tuple[bytes, T]]:
        """The values of a path and those above it, the longest path first, but not of the root.

        Each comes with the rest of the path below its own.
        """
        found = []
        node = self._root
        at = 0
        for name in _names(path):
            below = node.below.get(name)
            if below is None:
                break
            node = below
            at += len(name) + 1
            if node.value is not None:
                found.append((at, node.value))
        for at, value in reversed(found):
            yield path[at:], value

    def _find(self, path: bytes) -> _Node[T] | None:
        node = self._root
        for name in _names(path):
            below = node.below.get(name)
            if below is None:
                return None
            node = below
        return node

    def _reach(self, path: bytes) -> _Node[T]:
        node = self._root
        for name in _names(path):
            node = node.below.setdefault(name, _Node())
        return node


def _names(path: bytes) -> list[bytes]:
    return path.split(b"/") if path else []
