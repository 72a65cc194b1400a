"""Paths that stand twice in one layer: the last wins, as unpackers do."""

from __future__ import annotations

from collections.abc import Iterable

from squashproxy.archive.header import DIRECTORY
from squashproxy.archive.path import parent_of
from squashproxy.archive.scanner import TarScanner


def find_superseded(chunks: Iterable[bytes], where: str) -> frozenset[int]:
    """The ordinals of the entries that a later entry of the same layer replaces.

    What is no directory also replaces the entries that stood below its path.
    """
    seen = _Seen()
    scanner = TarScanner(where, 0)
    for chunk in chunks:
        scanner.feed(chunk)
        while scanner.advance():
            seen.add(scanner.path, scanner.ordinal, is_directory=scanner.kind == DIRECTORY)
            scanner.drop()
        scanner.take()
    scanner.finish()
    return frozenset(seen.superseded)


class _Seen:
    def __init__(self) -> None:
        self._latest: dict[bytes, int] = {}
        self._parents: set[bytes] = set()
        self.superseded: set[int] = set()

    def add(self, path: bytes, ordinal: int, *, is_directory: bool) -> None:
        earlier = self._latest.get(path)
        if earlier is not None:
            self.superseded.add(earlier)
        if not is_directory and path in self._parents:
            self._replace_below(path + b"/")
        self._latest[path] = ordinal
        parent = parent_of(path)
        while parent and parent not in self._parents:
            self._parents.add(parent)
            parent = parent_of(parent)

    def _replace_below(self, prefix: bytes) -> None:
        below = [path for path in self._latest if path.startswith(prefix)]
        self.superseded.update(self._latest.pop(path) for path in below)
        self._parents -= {path for path in self._parents if path.startswith(prefix)}
