"""Remainders: what the output still needs when all layers are read.

With a base: whiteouts and opaque markers that may hide its content, and directories that it must
not describe. Without one: directories implied by hidden entries alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from squashproxy.archive.path import join
from squashproxy.squash.indexed_directory import IndexedDirectory


class Remainder(Enum):
    """A kind of entry to add to the output after all layers are read."""

    DIRECTORY = "directory"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"


class Base(Protocol):
    """What the base holds."""

    def holds(self, path: bytes) -> bool:
        """Whether anything shows at a path."""
        ...


@dataclass(frozen=True, slots=True)
class Remainders:
    """The remainders below `root`; directories in `marked` have their opaque marker already."""

    root: IndexedDirectory
    marked: Collection[bytes]
    keeps_base: bool

    def iterate(
        self, read_base: Callable[[], Base] | None, check: Callable[[int], None]
    ) -> Iterator[tuple[Remainder, bytes]]:
        """The entries that are needed, by path, a directory before its marker.

        `read_base` is called when only the paths of the base can tell. `check` is told how many
        bytes the paths of directories have in all: a deep one needs all those above it.
        """
        bare = self._bare_directories()
        check(sum(length for _, length in bare))
        found = [(node.path, Remainder.DIRECTORY) for node, _ in bare]
        if self.keeps_base:
            found += self._markers(read_base)
        found.sort(key=lambda item: (item[0], item[1] is not Remainder.DIRECTORY))
        for path, remainder in found:
            yield remainder, path

    def _iter_directories(self) -> Iterator[tuple[IndexedDirectory, bool]]:
        """All directories, and whether something above each hides all that the base has there."""
        waiting = [(self.root, False)]
        while waiting:
            node, is_covered = waiting.pop()
            yield node, is_covered
            is_covered = is_covered or node.hides_base
            waiting += [(below, is_covered) for below in node.below.values()]

    def _markers(self, read_base: Callable[[], Base] | None) -> list[tuple[bytes, Remainder]]:
        sure: list[tuple[IndexedDirectory, bytes]] = []
        doubtful: list[tuple[IndexedDirectory, bytes]] = []
        opaque: list[bytes] = []
        for at, is_covered in self._iter_directories():
            if is_covered or at.hides_base:
                continue
            for name in at.gone:
                if name not in at.winners:
                    is_doubtful = at.again is not None and name in at.again
                    (doubtful if is_doubtful else sure).append((at, name))
                elif not at.shows_other(name) and join(at.path, name) not in self.marked:
                    opaque.append(join(at.path, name))
        whiteouts = [join(at.path, name) for at, name in sure]
        whiteouts += self._without_doubt(sure, doubtful, read_base)
        return [
            *((path, Remainder.WHITEOUT) for path in whiteouts),
            *((path, Remainder.OPAQUE) for path in opaque),
        ]

    def _without_doubt(
        self,
        sure: Sequence[tuple[IndexedDirectory, bytes]],
        doubtful: Sequence[tuple[IndexedDirectory, bytes]],
        read_base: Callable[[], Base] | None,
    ) -> list[bytes]:
        """Those of the `doubtful` whiteouts that the base needs.

        They remove something that these layers made themselves. A whiteout does no harm if the base
        has its directory. The base surely has it if one of the `sure` whiteouts, which hide what
        these layers did not make, lies in it; then all are kept and the base need not be read.
        """
        based = {self.root}
        for at, _ in sure:
            node = at
            while node not in based:
                based.add(node)
                node = node.above
        paths = [join(at.path, name) for at, name in doubtful]
        if read_base is None or all(at in based for at, _ in doubtful):
            return paths
        base = read_base()
        return [path for path in paths if base.holds(path)]

    def _bare_directories(self) -> list[tuple[IndexedDirectory, int]]:
        """Directories without an entry that the output has to hold nevertheless, each with the
        length of its path; see `iterate`.
        """
        lengths = {self.root: 0}
        for node in self.root.iter_tree():
            for below in node.below.values():
                lengths[below] = lengths[node] + 1 + len(below.name)
        if not self.keeps_base:
            return [(node, lengths[node]) for node in self._without_entries()]
        return [
            (node, lengths[node])
            for node, is_covered in self._iter_directories()
            if node is not self.root
            and node.is_implied
            and (is_covered or node.name in node.above.gone)
        ]

    def _without_entries(self) -> list[IndexedDirectory]:
        """Implied directories below which nothing has an entry, without those above them: whoever
        makes the lowest ones makes these, too.
        """
        found = []
        described: set[IndexedDirectory] = set()
        made: set[IndexedDirectory] = set()
        for node in reversed(list(self.root.iter_tree())):
            if node in described or node.holds_entries:
                described.add(node.above)
            elif node.is_implied and node is not self.root:
                made.add(node.above)
                if node not in made:
                    found.append(node)
        return found
