"""Census: counts what layers hold and how much of it upper layers hide, without any output.

A merge reads only the layers above the base. A census continues where the merge ended, down through
the base, with the paths that the merge has learned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from squashproxy.archive.header import DIRECTORY, HARD_LINK, SYMLINK
from squashproxy.archive.path import parent_of
from squashproxy.squash.duplicates import find_superseded
from squashproxy.squash.index import DUPLICATE, REDIRECTED, PathIndex
from squashproxy.squash.layer import HiddenEntry, LayerCount, MergeOptions, ScannedLayer
from squashproxy.squash.limits import check_limits, most_listed
from squashproxy.squash.links import Hidden, LinkTable
from squashproxy.squash.listing import Entry
from squashproxy.squash.walk import Recording, iter_noted, walk
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

    def count(self, number: int, layer: ScannedLayer) -> LayerCount:
        """Count the next lower layer; `number` is its number, 0 being the lowest.

        A layer that holds a path twice is read three times. Raises BadArchive, LimitExceeded above
        the options' `max_memory`, and what reading the layer raises.
        """
        self.index.begin_layer(number)
        self.links.begin_layer(number)
        tally = _Tally(number, self.index, self.links, self.options)
        on_listing = self.options.on_listing
        keep = None if on_listing is None else partial(on_listing, number)
        recording = Recording(layer, keep, most_listed(self.options))
        for unpacked in iter_noted(layer, tally.note, recording.recorder):
            tally.total.unpacked = unpacked
            memory = self.index.memory + self.links.memory + tally.memory + recording.memory
            check_limits(layer.where, self.options, memory=memory)
        recording.finish(tally.total.unpacked)
        if tally.holds_duplicates:
            superseded = find_superseded(layer, self.options, taken=self.index.memory)
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
    _names: int = 0

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory for hidden files that links may still revive."""
        return _BYTES_PER_HIDDEN * len(self._hidden) + self._names

    def note(self, entry: Entry) -> None:
        """Count an entry."""
        self.total.entries += 1
        mark, path = read_mark(self.index.resolve(entry.path))
        if mark is Mark.WHITEOUT:
            self.index.remove(path)
        elif mark is Mark.OPAQUE:
            self.index.make_opaque(path)
        elif mark is Mark.AUFS:
            self._hide(entry, path, self.number)
        else:
            self._note_entry(entry, path)

    def note_superseded(self, entry: Entry, superseded: frozenset[int]) -> None:
        """Count an entry that a later entry of the same layer replaces.

        For the last reading of a layer with duplicate paths: what upper layers hide was counted on
        the first.
        """
        if entry.ordinal in superseded:
            path = self.index.resolve(entry.path)
            if self._place(entry, path) == DUPLICATE:
                self._hide(entry, path, self.number)
        if entry.kind == SYMLINK:
            self.index.note_symlink(entry.path, entry.link)

    def _note_entry(self, entry: Entry, path: bytes) -> None:
        verdict = self._place(entry, path)
        if verdict == DUPLICATE:
            self.holds_duplicates = True
        elif verdict >= 0:
            self._hide(entry, path, verdict)
        if entry.kind == HARD_LINK:
            self._note_link(entry, path, is_hidden=verdict >= 0)
        elif entry.kind == SYMLINK:
            self.index.note_symlink(entry.path, entry.link)

    def _place(self, entry: Entry, path: bytes) -> int:
        is_directory = entry.kind == DIRECTORY
        verdict = self.index.place(entry.path, parent_of(entry.path), is_directory=is_directory)
        if verdict == REDIRECTED:
            return self.index.place(path, parent_of(path), is_directory=is_directory)
        return verdict

    def _hide(self, entry: Entry, path: bytes, hidden_by: int) -> None:
        self.total.hidden_bytes += entry.span_size
        self.total.hidden_entries += 1
        if entry.kind not in (DIRECTORY, HARD_LINK):
            self.links.note_hidden(path, entry.ordinal)
            self._hidden[entry.ordinal] = _HiddenFile(path, entry.size, entry.span_size)
            self._names += len(path)
        if self.options.on_hidden is not None:
            self.options.on_hidden(HiddenEntry(path, entry.size, self.number, hidden_by))

    def _note_link(self, entry: Entry, path: bytes, *, is_hidden: bool) -> None:
        target = self.links.resolve(self.index.resolve(entry.link))
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
