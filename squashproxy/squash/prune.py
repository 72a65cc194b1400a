"""Prune: what can go from each layer while the layers stay apart.

Layers are read from the top down, as in a merge. What a layer says of a path acts on lower layers
only, so an entry is decided when its header arrives:

1. An entry stays unless a higher layer hides it.
2. A directory stays, whatever hides it: a layer above may still hold hidden entries below it.
3. A whiteout or an opaque marker stays, even where it hides nothing any more: what it hides must
   not be in the way of a layer above.
4. A file whose path became a directory in a higher layer is replaced by a whiteout, since it hides
   what lower layers have below that path. It stays without payload, since a whiteout is no
   smaller, and where its layer has entries below that path, which a whiteout would not hide.
5. A hidden entry that a hard link of its layer needs, if that link stays, stays too; so does what
   the entry needs itself.
6. An entry at a path that a hard link of a higher layer needs stays. That holds for every link
   whose target its own layer lacks, hidden or not: the layer with the link may be kept as it is.
7. A symlink stays where entries of its layer lie behind it.
8. A layer of which only hidden directories and markers would be left can be left out, if no layer
   above it holds anything hidden (rules 2 and 3 have no reason then).

Each entry that can go can also stay: a layer from which only some of them are taken is right, too.
So it does not matter which layers are rewritten, and which are kept as they are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from squashproxy.archive.header import DIRECTORY, HARD_LINK, SYMLINK
from squashproxy.archive.path import parent_of
from squashproxy.squash.cut import Cut
from squashproxy.squash.disagreements import Disagreements
from squashproxy.squash.index import DUPLICATE, REDIRECTED, PathIndex
from squashproxy.squash.layer import (
    HiddenEntry,
    LayerCount,
    MergeOptions,
    MergeReport,
    ScannedLayer,
)
from squashproxy.squash.limits import check_limits, most_listed
from squashproxy.squash.listing import Entry
from squashproxy.squash.secret_patterns import find_secret
from squashproxy.squash.walk import Recording, iter_noted
from squashproxy.squash.whiteout import Mark, read_mark, whiteout_path

_BYTES_PER_HIDDEN = 300
_BYTES_PER_NEEDED = 150
_BYTES_PER_PATH = 100
_WHITEOUT_SIZE = 512


@dataclass(slots=True)
class _Hidden:
    """A hidden entry, until its layer is read to the end."""

    path: bytes
    size: int
    span_size: int
    hidden_by: int
    link: bytes = b""
    whiteout: bytes = b""


@dataclass(slots=True)
class _LayerState:
    """What is known of the layer that is being read."""

    number: int
    hidden: dict[int, _Hidden] = field(default_factory=dict)
    by_path: dict[bytes, int] = field(default_factory=dict)
    symlinks: list[int] = field(default_factory=list)
    needed_below: set[bytes] = field(default_factory=set)
    needed_names: int = 0
    names: int = 0
    holes: int = 0
    unseen: int = 0
    held_back: int = 0
    hidden_bytes: int = 0


class PruneScan:
    """One reading of the layers above the base, from the top down.

    `layers` are all of the image, base first; those of the base are not read. `cuts` has one Cut
    for each layer that was read, by its number; `counts` what each held. A KnownLayer gives the
    same as the layer itself. What unpackers disagree about stays as it is, with a warning; with the
    option `strict` it is an error, as in a merge.
    """

    def __init__(self, layers: Sequence[ScannedLayer], options: MergeOptions) -> None:
        self._layers = layers
        self._options = options
        self._index = PathIndex()
        self._needed: set[bytes] = set()
        self._needed_names = self._entries = self._unpacked = self._cut_memory = 0
        self._state = _LayerState(len(layers))
        self._count = LayerCount()
        self._report = MergeReport()
        self._disagreements = Disagreements(self._report, is_strict=options.strict, repairs=False)
        self.cuts: dict[int, Cut] = {}
        self.counts: dict[int, LayerCount] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What unpackers disagree about in the layers read so far; it stays as it is."""
        return self._report.warnings

    @property
    def index(self) -> PathIndex:
        """What the layers read so far say of each path; for a census of those below."""
        return self._index

    def run(self, on_layer: Callable[[int], None] = lambda _: None) -> None:
        """Read the layers. `on_layer` gets each one's number when it has its cut.

        Raises BadArchive, LimitExceeded, Ambiguous where the options are strict, and what reading a
        layer raises.
        """
        for number in reversed(range(self._options.kept, len(self._layers))):
            self._read(number)
            on_layer(number)

    @property
    def unpacked_so_far(self) -> int:
        """The bytes of tar read of the layer that is being read. May be asked from any thread."""
        return self.counts[self._state.number].unpacked if self.counts else 0

    @property
    def hidden_so_far(self) -> int:
        """What the layer that is being read loses if no later link of it needs a hidden entry;
        bytes of tar. May be asked from any thread.
        """
        return self._state.hidden_bytes

    def _read(self, number: int) -> None:
        self._index.begin_layer(number)
        self._state = _LayerState(number)
        count = self._count = self.counts[number] = LayerCount()
        layer = self._layers[number]
        self._disagreements.begin_layer(number, layer.where)
        on_listing = self._options.on_listing
        keep = None if on_listing is None else partial(on_listing, number)
        recording = Recording(layer, keep, most_listed(self._options))
        for unpacked in iter_noted(layer, self._note, recording.recorder):
            count.unpacked = unpacked
            self._check_limits(layer, recording.memory)
        recording.finish(count.unpacked)
        self._end_layer(count)
        self._entries += count.entries
        self._unpacked += count.unpacked + self._state.holes
        self._cut_memory += self.cuts[number].memory

    def _end_layer(self, count: LayerCount) -> None:
        state = self._state
        whiteouts = {
            ordinal: entry.whiteout for ordinal, entry in state.hidden.items() if entry.whiteout
        }
        dropped = array("q", (each for each in state.hidden if each not in whiteouts))
        count.hidden_entries = len(state.hidden)
        count.hidden_bytes = sum(
            entry.span_size - (_WHITEOUT_SIZE if entry.whiteout else 0)
            for entry in state.hidden.values()
        )
        self.cuts[state.number] = Cut(
            dropped,
            whiteouts,
            count.hidden_bytes,
            count.hidden_entries,
            state.unseen,
            state.held_back,
            count.entries,
            frozenset(
                ordinal
                for ordinal, entry in state.hidden.items()
                if entry.size and find_secret(entry.path)
            ),
        )
        self._needed |= state.needed_below
        self._needed_names += state.needed_names
        if self._options.on_hidden is not None:
            for entry in state.hidden.values():
                self._options.on_hidden(
                    HiddenEntry(entry.path, entry.size, state.number, entry.hidden_by)
                )

    def _note(self, entry: Entry) -> None:
        """Decide an entry; the scan itself keeps nothing."""
        self._count.entries += 1
        self._state.holes = entry.holes
        if entry.is_roundabout:
            self._disagreements.roundabout(entry.path)
        resolved = self._index.resolve(entry.path)
        if resolved != entry.path:
            self._keep_symlinks()
        mark, path = read_mark(resolved)
        if mark is Mark.WHITEOUT:
            self._decide_whiteout(path)
        elif mark is Mark.OPAQUE:
            self._decide_opaque(path)
        elif mark is Mark.ENTRY:
            self._decide_entry(entry, resolved)

    def _decide_whiteout(self, path: bytes) -> None:
        if self._index.hider_of_entries(parent_of(path)) is None:
            self._index.remove(path)
        else:
            self._state.unseen += 1

    def _decide_opaque(self, directory: bytes) -> None:
        if self._index.hider_of_entries(directory) is None:
            self._index.make_opaque(directory)
        else:
            self._state.unseen += 1

    def _decide_entry(self, entry: Entry, path: bytes) -> None:
        parent = parent_of(path)
        is_directory = entry.kind == DIRECTORY
        hidden_by = self._index.place(path, parent, is_directory=is_directory)
        assert hidden_by != REDIRECTED, "the path was resolved"
        self._check_agreement(entry, path, hidden_by)
        whiteout = None
        if hidden_by >= 0:
            whiteout = self._find_substitute(entry, path, parent)
        if entry.kind == HARD_LINK:
            self._note_link(entry.link, stays=whiteout is None)
        self._supersede(path, is_directory=is_directory)
        if hidden_by >= 0 and not is_directory:
            self._state.by_path[path] = entry.ordinal
            self._state.names += len(path)
        if whiteout is not None:
            self._hide(entry, path, hidden_by, whiteout)
        if entry.kind == SYMLINK:
            self._index.note_symlink(path, entry.link)
            self._state.symlinks.append(entry.ordinal)

    def _find_substitute(self, entry: Entry, path: bytes, parent: bytes) -> bytes | None:
        """The whiteout to replace a hidden entry by, b"" for none; None where the entry stays."""
        is_below_hidden = self._index.hider_of_entries(parent) is not None
        shows_directory = not is_below_hidden and self._index.holds_directory(path)
        if entry.kind == DIRECTORY:
            self._state.unseen += not shows_directory
            return None
        if path in self._needed:
            self._state.held_back += 1
            return None
        if not shows_directory:
            return b""
        if self._index.is_implied(path) or not entry.size or self._index.was_entered(path):
            self._state.held_back += 1
            return None
        return whiteout_path(path)

    def _supersede(self, path: bytes, *, is_directory: bool) -> None:
        """Another entry takes the place of what this layer had at `path` before.

        A whiteout for that would act on lower layers, although the layer ends with something else
        there; a directory shows what they have.
        """
        self._index.forget_symlink(path)
        earlier = self._state.hidden.get(self._state.by_path.get(path, -1))
        if earlier is not None and earlier.whiteout:
            if is_directory:
                self._keep(path)
            earlier.whiteout = b""
        self._state.by_path.pop(path, None)

    def _hide(self, entry: Entry, path: bytes, hidden_by: int, whiteout: bytes = b"") -> None:
        link = entry.link if entry.kind == HARD_LINK else b""
        self._state.hidden[entry.ordinal] = _Hidden(
            path, entry.size, entry.span_size, hidden_by, link, whiteout
        )
        self._state.hidden_bytes += entry.span_size
        self._state.names += len(path) + len(link) + len(whiteout)

    def _note_link(self, target: bytes, *, stays: bool) -> None:
        """A hard link of this layer needs its target, here or in a lower layer."""
        resolved = self._index.resolve(target)
        if resolved != target:
            self._keep_symlinks()
        if not self._is_here(resolved):
            self._state.needed_below.update((target, resolved))
            self._state.needed_names += len(target) + len(resolved)
        elif stays:
            self._keep(resolved)

    def _check_agreement(self, entry: Entry, path: bytes, hidden_by: int) -> None:
        """Report an entry that unpackers disagree about. Raises Ambiguous where that is strict."""
        is_visible = hidden_by < 0
        is_directory = entry.kind == DIRECTORY
        if hidden_by == DUPLICATE or self._index.takes_back(path, is_directory=is_directory):
            self._disagreements.duplicate(path)
        elif is_visible and entry.kind == HARD_LINK:
            target = self._index.resolve(entry.link)
            if not self._is_here(target) and read_mark(target).mark is not Mark.AUFS:
                self._disagreements.lower_link(path, entry.link)
        elif not (is_visible or is_directory) and self._replaces_implied(path):
            self._disagreements.implied(path)

    def _replaces_implied(self, path: bytes) -> bool:
        return self._index.is_removed_here(path) and self._index.is_implied(path)

    def _is_here(self, path: bytes) -> bool:
        """Whether this layer has held something at `path` so far that is no directory."""
        return path in self._state.by_path or self._shows_here(path)

    def _shows_here(self, path: bytes) -> bool:
        return self._index.other_from(path) == self._state.number

    def _keep(self, path: bytes) -> None:
        """Keep the hidden entry at `path`, and what it needs itself."""
        while (ordinal := self._state.by_path.get(path)) is not None:
            entry = self._state.hidden.pop(ordinal, None)
            if entry is None:
                return
            self._state.held_back += 1
            if not entry.link:
                return
            path = self._index.resolve(entry.link)

    def _keep_symlinks(self) -> None:
        """An entry lies behind a symlink of this layer: keep them all, wherever they lead."""
        for ordinal in self._state.symlinks:
            if self._state.hidden.pop(ordinal, None) is not None:
                self._state.held_back += 1
        self._state.symlinks.clear()

    def _check_limits(self, layer: ScannedLayer, recorded: int) -> None:
        state, count = self._state, self._count
        memory = (
            self._index.memory
            + _BYTES_PER_HIDDEN * len(state.hidden)
            + _BYTES_PER_PATH * len(state.by_path)
            + _BYTES_PER_NEEDED * (len(self._needed) + len(state.needed_below))
            + state.names
            + state.needed_names
            + self._needed_names
            + self._cut_memory
            + recorded
        )
        check_limits(
            layer.where,
            self._options,
            memory=memory,
            entries=self._entries + count.entries,
            unpacked=self._unpacked + count.unpacked + state.holes,
        )
