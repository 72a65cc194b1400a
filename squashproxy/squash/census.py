"""Census: counts what layers hold and how much of it upper layers hide, without any output.

A merge reads only the layers above the base. A census continues where the merge ended, down through
the base, with the paths that the merge has learned.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.archive.header import DIRECTORY, HARD_LINK, SYMLINK
from squashproxy.archive.path import parent_of
from squashproxy.archive.scanner import TarScanner
from squashproxy.squash.duplicates import find_superseded
from squashproxy.squash.index import DUPLICATE, REDIRECTED, PathIndex
from squashproxy.squash.layer import HiddenEntry, Layer, LayerCount, MergeOptions
from squashproxy.squash.limits import check_limits
from squashproxy.squash.links import Hidden, LinkTable
from squashproxy.squash.walk import iter_walk, walk
from squashproxy.squash.whiteout import Mark, read_mark

_BYTES_PER_HIDDEN = 220


@dataclass(slots=True)
class Census:
    """Counts the layers of the base, from the top down, each once.

    `index` is the index of a merge whose spans were read to the end; the census adds to it. As in a
    merge, an entry does not count as hidden if its content lives on as a hard link of its layer.
    """

    index: PathIndex
    options: MergeOptions
    links: LinkTable = field(init=False)

    def __post_init__(self) -> None:
        self.links = LinkTable(self.index)

    def count(self, number: int, layer: Layer) -> LayerCount:
        """Count the next lower layer; `number` is its number, 0 being the lowest.

        A layer that holds a path twice is read three times. Raises BadArchive, LimitExceeded above
        the options' `max_memory`, and what reading the layer raises.
        """
        self.index.begin_layer(number)
        self.links.begin_layer(number)
        tally = _Tally(number, self.index, self.links, self.options)
        scanner = TarScanner(layer.where, 0)
        for _ in iter_walk(layer, scanner, tally.note):
            memory = self.index.memory + self.links.memory + tally.memory
            check_limits(layer.where, self.options, memory=memory)
        tally.total.unpacked = scanner.consumed
        if tally.holds_duplicates:
            superseded = find_superseded(layer)
            self.index.begin_layer(number)
            walk(layer, lambda entry: tally.note_superseded(entry, superseded))
        return tally.total


@dataclass(slots=True)
class _Tally:
    """The count of one layer."""

    number: int
    index: PathIndex
    links: LinkTable
    options: MergeOptions
    total: LayerCount = field(default_factory=LayerCount)
    holds_duplicates: bool = False
    _hidden: dict[int, _HiddenFile] = field(default_factory=dict)

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory for hidden files that links may still revive."""
        return _BYTES_PER_HIDDEN * len(self._hidden)

    def note(self, scanner: TarScanner) -> None:
        """Count an entry."""
        self.total.entries += 1
        mark, path = read_mark(self.index.resolve(scanner.path))
        if mark is Mark.WHITEOUT:
            self.index.remove(path)
        elif mark is Mark.OPAQUE:
            self.index.make_opaque(path)
        elif mark is Mark.AUFS:
            self._hide(scanner, path, self.number)
        else:
            self._note_entry(scanner, path)
        scanner.drop()

    def note_superseded(self, scanner: TarScanner, superseded: frozenset[int]) -> None:
        """Count an entry that a later entry of the same layer replaces.

        For the last reading of a layer with duplicate paths: what upper layers hide was counted on
        the first.
        """
        if scanner.ordinal in superseded:
            path = self.index.resolve(scanner.path)
            if self._place(scanner, path) == DUPLICATE:
                self._hide(scanner, path, self.number)
        if scanner.kind == SYMLINK:
            self.index.note_symlink(scanner.path, scanner.link)
        scanner.drop()

    def _note_entry(self, scanner: TarScanner, path: bytes) -> None:
        verdict = self._place(scanner, path)
        if verdict == DUPLICATE:
            self.holds_duplicates = True
        elif verdict >= 0:
            self._hide(scanner, path, verdict)
        if scanner.kind == HARD_LINK:
            self._note_link(scanner, path, is_hidden=verdict >= 0)
        elif scanner.kind == SYMLINK:
            self.index.note_symlink(scanner.path, scanner.link)

    def _place(self, scanner: TarScanner, path: bytes) -> int:
        is_directory = scanner.kind == DIRECTORY
        verdict = self.index.place(scanner.path, scanner.parent, is_directory=is_directory)
        if verdict == REDIRECTED:
            return self.index.place(path, parent_of(path), is_directory=is_directory)
        return verdict

    def _hide(self, scanner: TarScanner, path: bytes, hidden_by: int) -> None:
        self.total.hidden_bytes += scanner.span_size
        self.total.hidden_entries += 1
        if scanner.kind not in (DIRECTORY, HARD_LINK):
            self.links.note_hidden(path, scanner.ordinal)
            self._hidden[scanner.ordinal] = _HiddenFile(path, scanner.size, scanner.span_size)
        if self.options.on_hidden is not None:
            self.options.on_hidden(HiddenEntry(path, scanner.size, self.number, hidden_by))

    def _note_link(self, scanner: TarScanner, path: bytes, *, is_hidden: bool) -> None:
        target = self.links.resolve(self.index.resolve(scanner.link))
        self.links.note_alias(path, target)
        if not is_hidden and isinstance(target, Hidden):
            self._revive(target.ordinal)

    def _revive(self, ordinal: int) -> None:
        """Count a hidden file as living on under a link's name; further links change nothing."""
        taken = self._hidden.pop(ordinal, None)
        if taken is None:
            return
        self.total.hidden_bytes -= taken.span_size
        self.total.hidden_entries -= 1
        if self.options.on_revived is not None:
            self.options.on_revived(taken.path, self.number, taken.size)


@dataclass(frozen=True, slots=True)
class _HiddenFile:
    """A hidden file: `size` is its payload, `span_size` adds headers and padding, both in bytes."""

    path: bytes
    size: int
    span_size: int
