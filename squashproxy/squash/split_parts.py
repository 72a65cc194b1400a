"""Parts of a cut tar: the directories that each holds, and the files of its hard links."""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.archive.path import parent_of
from squashproxy.archive.rewrite import empty_file_header
from squashproxy.squash.pass_facts import EarlyEntries
from squashproxy.squash.whiteout import opaque_path

_BYTES_PER_HEADER = 250
_BYTES_PER_PATH = 150

_NOTHING = EarlyEntries({}, frozenset(), {})


class PartDirectories:
    """The directories of the part that is being written, and of those before it."""

    def __init__(self, early: EarlyEntries | None) -> None:
        self._early = early or _NOTHING
        self._headers: dict[bytes, bytes] = {}
        self._opaque: set[bytes] = set()
        self._marked: set[bytes] = set()
        self._entered: set[bytes] = set()
        self._described: set[bytes] = set()
        self._below: set[bytes] = set()
        self._latest: bytes | None = None
        self._size = 0

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that this takes."""
        return self._size + _BYTES_PER_PATH * (len(self._entered) + len(self._below))

    def begin_part(self) -> None:
        """Start the next part, which lies upon the others."""
        self._below |= self._entered
        self._entered = set()
        self._described = set()
        self._latest = None

    def enter(self, directory: bytes) -> list[bytes]:
        """The entries that precede an entry in `directory`: headers, and markers that are due."""
        if directory == self._latest:
            return []
        self._latest = directory
        new = []
        while directory not in self._entered:
            self._entered.add(directory)
            new.append(directory)
            directory = parent_of(directory)
        entries = []
        for path in reversed(new):
            header = self._headers.get(path) or self._early.directories.get(path)
            if header is not None and path not in self._described:
                self._described.add(path)
                entries.append(header)
            entries += self._due_marker(path)
        return entries

    def place(self, path: bytes, header: bytes) -> tuple[bool, list[bytes]]:
        """Note the directory entry at `path`: whether it stays, and the entries behind it.

        It does not where the part has it already.
        """
        self.note(path, header)
        if path in self._described:
            return False, []
        self._described.add(path)
        return True, [] if path in self._entered else self._due_marker(path)

    def note(self, path: bytes, header: bytes) -> None:
        """Note a directory's header."""
        self._headers[path] = header
        self._size += len(header) + _BYTES_PER_HEADER

    def note_opaque(self, directory: bytes) -> None:
        """Note an opaque marker of the merged tar."""
        self._opaque.add(directory)

    def is_below(self, directory: bytes) -> bool:
        """Whether a part before this one holds anything in `directory`."""
        return directory in self._below

    def _due_marker(self, path: bytes) -> list[bytes]:
        if path not in self._early.opaque or path in self._marked:
            return []
        self._marked.add(path)
        return [empty_file_header(opaque_path(path))]

    def needed(self, holders: set[bytes]) -> tuple[frozenset[bytes], dict[bytes, bytes]]:
        """The opaque directories, and the headers of these, of `holders`, and of all above them."""
        wanted: set[bytes] = set()
        for directory in holders | self._opaque:
            path = directory
            while path not in wanted:
                wanted.add(path)
                path = parent_of(path)
        headers = {path: header for path, header in self._headers.items() if path in wanted}
        return frozenset(self._opaque), headers


class PartLinks:
    """The hard links of the merged tar, and the files of the part that is being written."""

    def __init__(self, early: EarlyEntries | None) -> None:
        self._known = early.links if early is not None else {}
        self._collects = early is None
        self._files: set[bytes] = set()
        self._roots: dict[bytes, bytes] = {}
        self._links: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self._size = 0

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that this takes."""
        return self._size + _BYTES_PER_PATH * len(self._files)

    def begin_part(self) -> None:
        """Start the next part, which holds no files yet."""
        self._files = set()

    def note_file(self, path: bytes) -> None:
        """Note an entry of the part that links may point to."""
        if self._collects:
            self._files.add(path)

    def note(self, path: bytes, target: bytes, header: bytes) -> None:
        """Note a hard link at `path`, which may be the target of others."""
        if not self._collects:
            return
        self._files.add(path)
        file = self._roots[path] = self._roots.get(target, target)
        self._links.setdefault(file, []).append((path, header))
        self._size += len(header) + 2 * _BYTES_PER_HEADER

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
