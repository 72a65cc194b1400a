"""Parts of a cut tar: the directories that each holds, and the files of its hard links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from squashproxy.archive.path import parent_of
from squashproxy.archive.rewrite import empty_file_header
from squashproxy.squash.pass_facts import EarlyEntries
from squashproxy.squash.path_tree import BYTES_PER_NODE, PathNode, parts_of
from squashproxy.squash.whiteout import opaque_path

_BYTES_PER_HEADER = 250
_BYTES_PER_PATH = 150

_NOTHING = EarlyEntries({}, frozenset(), {})


class _Directory(PathNode):
    """A directory of the merged tar.

    `header` are its header blocks, `early` those that an earlier pass found. `entered` and
    `described` are the numbers of the last parts that hold anything in it, and that header.
    `is_below` says that an earlier part does, too, `wants_marker` that an opaque marker is due
    before its content.
    """

    __slots__ = ("described", "early", "entered", "header", "is_below", "wants_marker")

    def __init__(self, above: Self | None = None, name: bytes = b"") -> None:
        super().__init__(above, name)
        self.header: bytes | None = None
        self.early: bytes | None = None
        self.entered = self.described = -1
        self.is_below = self.wants_marker = False


class PartDirectories:
    """The directories of the part that is being written, and of those before it."""

    def __init__(self, early: EarlyEntries | None) -> None:
        known = early or _NOTHING
        self._root = _Directory()
        self._size = 0
        self._part = 0
        self._latest: bytes | None = None
        self._described: list[tuple[bytes, _Directory]] = []
        self._opaque: set[bytes] = set()
        for path in known.opaque:
            self._reach(path).wants_marker = True
        for path, header in known.directories.items():
            self._reach(path).early = header

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that this takes."""
        return self._size

    def begin_part(self) -> None:
        """Start the next part, which lies upon the others."""
        self._part += 1
        self._latest = None

    def enter(self, directory: bytes) -> list[bytes]:
        """The entries that precede an entry in `directory`: headers, and markers that are due."""
        if directory == self._latest:
            return []
        self._latest = directory
        entries = []
        for node in reversed(list(self._reach(directory).iter_up())):
            if node.entered == self._part:
                continue
            node.is_below |= node.entered >= 0
            node.entered = self._part
            header = node.header or node.early
            if header is not None and node.described != self._part:
                node.described = self._part
                entries.append(header)
            entries += self._due_marker(node)
        return entries

    def place(self, path: bytes, header: bytes) -> tuple[bool, list[bytes]]:
        """Note the directory entry at `path`: whether it stays, and the entries behind it.

        It does not where the part has it already.
        """
        node = self.note(path, header)
        if node.described == self._part:
            return False, []
        node.described = self._part
        return True, [] if node.entered == self._part else self._due_marker(node)

    def note(self, path: bytes, header: bytes) -> _Directory:
        """Note a directory's header."""
        node = self._reach(path)
        if node.header is None:
            self._described.append((path, node))
        node.header = header
        self._size += len(path) + len(header) + _BYTES_PER_HEADER
        return node

    def note_opaque(self, directory: bytes) -> None:
        """Note an opaque marker of the merged tar."""
        self._opaque.add(directory)
        self._size += len(directory) + _BYTES_PER_PATH

    def is_below(self, directory: bytes) -> bool:
        """Whether a part before this one holds anything in `directory`."""
        node = self._root.find(directory)
        return node is not None and (node.is_below or 0 <= node.entered < self._part)

    def _reach(self, path: bytes) -> _Directory:
        node = self._root
        for name in parts_of(path):
            below = node.below.get(name)
            if below is None:
                below = node.add(name)
                self._size += BYTES_PER_NODE + len(name)
            node = below
        return node

    def _due_marker(self, node: _Directory) -> list[bytes]:
        if not node.wants_marker:
            return []
        node.wants_marker = False
        return [empty_file_header(opaque_path(node.path))]

    def needed(self, holders: set[bytes]) -> tuple[frozenset[bytes], dict[bytes, bytes]]:
        """The opaque directories, and the headers of these, of `holders`, and of all above them."""
        wanted: set[_Directory] = set()
        for directory in holders | self._opaque:
            for node in self._reach(directory).iter_up():
                if node in wanted:
                    break
                wanted.add(node)
        headers = {
            path: node.header
            for path, node in self._described
            if node in wanted and node.header is not None
        }
        return frozenset(self._opaque), headers


class PartLinks:
    """The hard links of the merged tar, and the files of the part that is being written."""

    def __init__(self, early: EarlyEntries | None) -> None:
        self._known = early.links if early is not None else {}
        self._collects = early is None
        self._files: set[bytes] = set()
        self._roots: dict[bytes, bytes] = {}
        self._links: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self._size = self._names = 0

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that this takes, names included."""
        return self._size + self._names + _BYTES_PER_PATH * len(self._files)

    def begin_part(self) -> None:
        """Start the next part, which holds no files yet."""
        self._files = set()
        self._names = 0

    def note_file(self, path: bytes) -> None:
        """Note an entry of the part that links may point to."""
        if self._collects:
            self._files.add(path)
            self._names += len(path)

    def note(self, path: bytes, target: bytes, header: bytes) -> None:
        """Note a hard link at `path`, which may be the target of others."""
        if not self._collects:
            return
        self._files.add(path)
        file = self._roots[path] = self._roots.get(target, target)
        self._links.setdefault(file, []).append((path, header))
        self._size += 2 * len(path) + len(target) + len(header) + 2 * _BYTES_PER_HEADER

    def holds(self, path: bytes) -> bool:
        """Whether the part holds a file at `path`."""
        return path in self._files

    def of(self, file: bytes) -> Sequence[tuple[bytes, bytes]]:
        """The links that an earlier pass found, to go out behind `file`: paths and headers."""
        return self._known.get(file, ())

    def early(self, directories: PartDirectories) -> EarlyEntries:
        """What the next pass has to know."""
        holders = {parent_of(path) for links in self._links.values() for path, _ in links}
        opaque, headers = directories.needed(holders)
        return EarlyEntries(self._links, opaque, headers)
