"""Decides each entry of a layer when its header arrives: keep, drop or rewrite it.

Layers come from the top down, so the first entry seen for a path wins; squash/index.py lists what
hides what. For an entry above the base, the first rule that fits counts:

1. A later entry of the same layer has its path (`Facts.superseded`): dropped.
2. An aufs leftover: dropped.
3. A whiteout: dropped, and it acts on lower layers. Those that the kept base still needs are
   written at the end.
4. An opaque marker: kept if it is the first that counts for its directory and a base is kept, else
   dropped.
5. A hard link
   a. that an upper layer hides: dropped, yet other links may still mean the file by its path;
   b. whose file is in the output: kept, pointing to the path that the file has there;
   c. whose file is hidden and was read a moment ago (squash/recent_hidden.py): the link becomes
      the file;
   d. whose file is anywhere else: set aside, and written together with the file.
6. A directory whose header went out before (`Facts.described`): dropped.
7. Anything else
   a. that is visible: kept, and links that waited for it follow. A directory that replaces one of
      the base is followed by an opaque marker;
   b. that is hidden while links wait for it: the first link becomes the file, the others point
      to it;
   c. that is hidden: dropped.

A path that stands twice in a layer, and a directory that had to be known earlier, stop the pass
with RestartNeeded (squash/restart.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from squashproxy.archive.header import DIRECTORY, HARD_LINK, REGULAR, SYMLINK
from squashproxy.archive.path import BadEntry
from squashproxy.archive.rewrite import empty_file_header, with_link, with_path
from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import BadArchive
from squashproxy.squash.base_index import read_base
from squashproxy.squash.disagreements import Disagreements, broken_link, linked_directory
from squashproxy.squash.index import DUPLICATE, LATE, REDIRECTED, PathIndex
from squashproxy.squash.indexed_directory import VISIBLE
from squashproxy.squash.layer import (
    HiddenEntry,
    LayerCount,
    MergeOptions,
    MergeReport,
    ScannedLayer,
)
from squashproxy.squash.links import Emitted, Hidden, Link, LinkTable, Lower, Target
from squashproxy.squash.pass_facts import DuplicatePath, Survey, SurveyNeeded
from squashproxy.squash.recent_hidden import RecentHidden
from squashproxy.squash.remainders import Remainder
from squashproxy.squash.whiteout import PREFIX, Mark, opaque_path, read_mark

_BYTES_PER_SERVED = 100


class EntryDecider:
    """Applies the rules to the entries of one layer after the other, from the top down.

    `layers` are all layers of the image, base first; the base is read only if a question is open
    (squash/base_index.py). With a `survey`, facts are collected there instead of raising
    SurveyNeeded. `streams` gives each stream of spans its number.
    """

    def __init__(
        self,
        layers: Sequence[ScannedLayer],
        options: MergeOptions,
        report: MergeReport,
        survey: Survey | None,
        streams: Iterator[int],
    ) -> None:
        self._layers = layers
        self._options = options
        self._report = report
        self._survey = survey
        self._streams = streams
        self._keeps_base = options.kept > 0
        self._described = options.facts.described
        self._undescribed = set(self._described)
        """Directories whose header went out before their entry came; that entry is not hidden."""
        self._replaced = options.facts.replaced
        self._base: PathIndex | None = None
        self._number = len(layers)
        self._count = LayerCount()
        self._superseded: frozenset[int] = frozenset()
        self._served: set[bytes] = set()
        """Paths of entries of this layer that decided what became of links of upper layers: they
        took the entry for their file, or nothing below it can be that."""
        self._served_names = 0
        self._facts_memory = options.facts.memory
        self._recent = RecentHidden(options.recent_hidden_bytes)
        self._disagreements = Disagreements(report, is_strict=options.strict)
        self._parent = b""
        self._is_parent_marked = False
        self.index = PathIndex(self._described)
        """The state of each path after the layers read so far."""
        self.links = LinkTable(self.index)
        """The links that wait for their file."""

    def begin_layer(self, number: int) -> None:
        """Start layer `number`, whose entries follow; numbers go down."""
        self._number = number
        self._disagreements.begin_layer(number, self._layers[number].where)
        self._count = self._report.layers.setdefault(number, LayerCount())
        self._superseded = self._options.facts.superseded.get(number, frozenset())
        self._served.clear()
        self._served_names = 0
        self._recent = RecentHidden(self._options.recent_hidden_bytes)
        self.index.begin_layer(number)
        self.links.begin_layer(number)

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that paths and links take, names included."""
        base = 0 if self._base is None else self._base.memory
        found = 0 if self._survey is None else self._survey.memory
        facts = self._facts_memory + found
        return self.index.memory + self.links.memory + self._served_names + base + facts

    def decide(self, scanner: TarScanner) -> None:
        """Decide an entry of a layer above the base.

        Raises BadEntry, BadArchive, Ambiguous and RestartNeeded.
        """
        self._count.entries += 1
        if scanner.is_roundabout:
            self._disagreements.roundabout(scanner.path)
            scanner.rename(scanner.path)
        if self._superseded and scanner.ordinal in self._superseded:
            self._drop_superseded(scanner)
        elif self._may_be_marked(scanner) and self._decide_mark(scanner):
            return
        elif scanner.kind == HARD_LINK:
            self._decide_link(scanner)
        else:
            self._decide_entry(scanner)

    def _may_be_marked(self, scanner: TarScanner) -> bool:
        """Whether any part of the path starts with `.wh.`; a directory is looked at once."""
        if scanner.parent is not self._parent:
            self._parent = scanner.parent
            self._is_parent_marked = b"/.wh." in b"/" + scanner.parent
        return scanner.name[:4] == PREFIX or self._is_parent_marked

    def _decide_entry(self, scanner: TarScanner) -> None:
        is_directory = scanner.kind == DIRECTORY
        hidden_by = self._place(scanner, is_directory=is_directory)
        if hidden_by == VISIBLE and scanner.kind == REGULAR and not self.links.parked:
            scanner.keep()
            return
        if is_directory and hidden_by != VISIBLE and scanner.path in self._undescribed:
            self._undescribed.discard(scanner.path)
            scanner.drop()
            return
        waiting = self.links.try_take(scanner.path) if self.links.parked else None
        if waiting and is_directory:
            raise self._linked_directory(waiting[0], scanner.path)
        if hidden_by == VISIBLE:
            scanner.keep()
            self._insert_links(scanner, waiting or (), scanner.path)
            if is_directory:
                self._mark_replaced(scanner)
        elif waiting:
            self._serve(scanner.path)
            self._promote(scanner, waiting)
        else:
            self._hide(scanner, hidden_by)
        if scanner.kind == SYMLINK:
            self.index.note_symlink(scanner.path, scanner.link)
        if self.links.parked and not is_directory:
            self.links.hide_below(scanner.path, itself=False)

    def _decide_link(self, scanner: TarScanner) -> None:
        target = self.links.resolve(self.index.resolve(scanner.link))
        hidden_by = self._place(scanner, is_directory=False)
        waiting = self.links.try_take(scanner.path) if self.links.parked else None
        if self.index.directory_from(scanner.link) == self._number:
            link = Link(scanner.path, b"", self._number)
            raise self._linked_directory(link, scanner.link)
        if hidden_by != VISIBLE:
            self._count_hidden(scanner, hidden_by)
            self.links.note_alias(scanner.path, target)
            scanner.drop()
        elif isinstance(target, Emitted):
            self._keep_link(scanner, target.path)
        elif isinstance(target, Hidden) and self._take_over(scanner, target):
            target = Emitted(scanner.path)
        else:
            self._park(scanner, target)
        self._pass_on(scanner, waiting, target)
        if self.links.parked:
            self.links.hide_below(scanner.path, itself=False)

    def _place(self, scanner: TarScanner, *, is_directory: bool) -> int:
        """Claim the entry's path: VISIBLE, or the number of the layer that hides the entry."""
        path = scanner.path
        if not path and not is_directory:
            raise BadEntry("is the image's root, but no directory")
        verdict = self.index.place(path, scanner.parent, is_directory=is_directory)
        if verdict == VISIBLE and not self._described and not self._superseded:
            return verdict
        if verdict == REDIRECTED:
            scanner.rename(self.index.resolve(scanner.path))
            read_mark(scanner.path)  # a symlink may lead below a whiteout, which is refused
            verdict = self.index.place(scanner.path, scanner.parent, is_directory=is_directory)
        self._check_duplicate(scanner, verdict, is_directory=is_directory)
        self.index.forget_symlink(scanner.path)
        self._insert_described(scanner)
        if verdict == LATE:
            self._note_late(scanner)
            return VISIBLE
        is_file_hidden = verdict != VISIBLE and not is_directory
        if is_file_hidden and self.index.is_removed_here(scanner.path):
            if self.index.is_implied(scanner.path):
                self._disagreements.implied(scanner.path)
            self._note_replaced(scanner.path)
        return verdict

    def _check_duplicate(self, scanner: TarScanner, verdict: int, *, is_directory: bool) -> None:
        """Raise DuplicatePath if an earlier entry of this layer at the path took effect already."""
        takes_back = verdict != VISIBLE and self.index.takes_back(
            scanner.path, is_directory=is_directory
        )
        if verdict == DUPLICATE or takes_back or scanner.path in self._served:
            self._disagreements.duplicate(scanner.path)
            raise DuplicatePath(self._number)

    def _insert_described(self, scanner: TarScanner) -> None:
        """Write the headers of directories that this entry implies and a lower layer describes."""
        for path in self.index.take_described():
            scanner.insert_before(self._described[path])

    def _note_late(self, scanner: TarScanner) -> None:
        """Note a directory that comes after entries below it; without a base this is harmless."""
        if not self._keeps_base or not self._options.reads_base:
            return
        if not self._read_base().shows_other(scanner.path):
            return
        if self._survey is None:
            raise SurveyNeeded(self._number)
        self._survey.note_described(scanner.path, scanner.header)

    def _decide_mark(self, scanner: TarScanner) -> bool:
        """Decide a whiteout, opaque marker or aufs leftover; False for an ordinary entry."""
        resolved = self.index.resolve(scanner.path)
        mark, path = read_mark(resolved)
        if mark is Mark.ENTRY:
            return False
        if resolved != scanner.path:
            scanner.rename(resolved)
        if mark is Mark.AUFS:
            self._hide(scanner, self._number)
        elif mark is Mark.WHITEOUT:
            self.index.remove(path)
            self._insert_described(scanner)
            self._note_replaced(path)
            self.links.hide_below(path, itself=True)
            self._report.touched |= not self._keeps_base
            scanner.drop()
        elif self._counts_opaque(scanner, path):
            scanner.keep()
        else:
            self._report.touched = True
            scanner.drop()
        return True

    def _counts_opaque(self, scanner: TarScanner, directory: bytes) -> bool:
        self.links.hide_below(directory, itself=False)
        is_first = self.index.make_opaque(directory)
        self._insert_described(scanner)
        if is_first:
            self._note_replaced(directory)
        return is_first and self._keeps_base and self.index.try_mark(directory)

    def _mark_replaced(self, scanner: TarScanner) -> None:
        """Add an opaque marker if this directory replaces one of the base."""
        path = scanner.path
        is_replaced = self.index.is_removed_here(path) or path in self._replaced
        if self._keeps_base and is_replaced and self.index.try_mark(path):
            scanner.insert_after(empty_file_header(opaque_path(path)))

    def _note_replaced(self, path: bytes) -> None:
        """Keep the base's content of `path` out of the directory that an upper layer has there."""
        above = self.index.directory_from(path)
        if above is None or above <= self._number or not self._keeps_base:
            return
        if not self._options.reads_base or self.index.is_settled(path):
            return
        if not self._read_base().holds_directory(path):
            self.index.try_mark(path)
        elif self._survey is None:
            raise SurveyNeeded(self._number)
        else:
            self._survey.note_replaced(path)

    def _keep_link(self, scanner: TarScanner, target: bytes) -> None:
        if target == scanner.link and not scanner.is_roundabout:
            scanner.keep()
        else:
            scanner.replace(with_link(scanner.header, target))

    def _take_over(self, scanner: TarScanner, target: Hidden) -> bool:
        """Turn the link into the file that it means, if that file is still remembered."""
        file = self._recent.try_find(target.ordinal)
        if file is None:
            return False
        scanner.replace_by(file, with_path(file.header, scanner.path), next(self._streams))
        self._count_revived(file.path, file.size, file.span_size)
        self._insert_links(scanner, self.links.take_over(target, scanner.path), scanner.path)
        return True

    def _park(self, scanner: TarScanner, target: Hidden | Lower) -> None:
        """Set the link aside until its file goes out."""
        if isinstance(target, Lower):
            self._disagreements.lower_link(scanner.path, target.path)
        self.links.wait(target, [Link(scanner.path, scanner.header, self._number)])
        self.links.note_alias(scanner.path, target)
        self._report.touched = True
        scanner.drop()

    def _pass_on(self, scanner: TarScanner, waiting: list[Link] | None, target: Target) -> None:
        """Let links that waited for this path, which is a link itself, wait for its target."""
        if not waiting:
            return
        self._serve(scanner.path)
        if isinstance(target, Emitted):
            self._insert_links(scanner, waiting, target.path)
        else:
            self.links.wait(target, waiting)

    def _promote(self, scanner: TarScanner, links: Sequence[Link]) -> None:
        """Write the file under the first surviving link's path, with all its metadata."""
        first, *others = links
        scanner.replace(with_path(scanner.header, first.path))
        self._insert_links(scanner, others, first.path)
        self.links.note_alias(scanner.path, Emitted(first.path))

    def _insert_links(self, scanner: TarScanner, links: Sequence[Link], target: bytes) -> None:
        for link in links:
            scanner.insert_after(with_link(link.header, target))

    def _drop_superseded(self, scanner: TarScanner) -> None:
        """Drop an entry that a later one replaces. Entries between the two land behind it if it is
        a symlink.
        """
        self._disagreements.duplicate(scanner.path)
        path = self.index.resolve(scanner.path)
        if path != scanner.path:
            scanner.rename(path)
        self.index.forget_symlink(path)
        if scanner.kind == HARD_LINK:
            target = self.links.resolve(self.index.resolve(scanner.link))
            self.links.note_alias(path, target)
            self._count_hidden(scanner, self._number)
            scanner.drop()
        else:
            self._hide(scanner, self._number)
        if scanner.kind == SYMLINK:
            self.index.note_symlink(path, scanner.link)

    def _hide(self, scanner: TarScanner, hidden_by: int) -> None:
        self._count_hidden(scanner, hidden_by)
        if scanner.kind == DIRECTORY:
            scanner.drop()
            return
        self.links.note_hidden(scanner.path, scanner.ordinal)
        if self._recent.has_room_for(scanner.offset, scanner.span_size):
            self._recent.add(scanner.detach())
        else:
            scanner.drop()

    def _count_hidden(self, scanner: TarScanner, hidden_by: int) -> None:
        self._count.hidden_bytes += scanner.span_size
        self._count.hidden_entries += 1
        self._report.touched = True
        if self._options.on_hidden is not None:
            entry = HiddenEntry(scanner.path, scanner.size, self._number, hidden_by)
            self._options.on_hidden(entry)

    def revive(self, scanner: TarScanner, links: Sequence[Link]) -> None:
        """Write a hidden file of this layer for the links to it, on the second reading."""
        self._count_revived(scanner.path, scanner.size, scanner.span_size)
        self._promote(scanner, links)

    def _count_revived(self, path: bytes, size: int, span_size: int) -> None:
        self._count.hidden_bytes -= span_size
        self._count.hidden_entries -= 1
        if self._options.on_revived is not None:
            self._options.on_revived(path, self._number, size)

    def iter_remainders(self, check: Callable[[int], None]) -> Iterator[tuple[Remainder, bytes]]:
        """The entries that the output still needs once all layers are read; see PathIndex."""
        return self.index.iter_remainders(
            keeps_base=self._keeps_base,
            read_base=self._read_base if self._options.reads_base else None,
            check=check,
        )

    def search(self, scanner: TarScanner) -> None:
        """Decide an entry of the kept base, which is written only if links wait for it.

        Raises BadEntry, BadArchive and DuplicatePath.
        """
        path = scanner.path
        if scanner.ordinal in self._superseded:
            self._pass_over(scanner)
            return
        if path in self._served:
            raise DuplicatePath(self._number)
        mark, marked = read_mark(path)
        if mark in (Mark.WHITEOUT, Mark.OPAQUE):
            self.links.hide_below(marked, itself=mark is Mark.WHITEOUT)
            scanner.drop()
            return
        waiting = self.links.try_take(path)
        if scanner.kind == HARD_LINK:
            target = self.links.resolve(scanner.link)
            self.links.note_alias(path, target)
            scanner.drop()
            self._pass_on(scanner, waiting, target)
        elif waiting and scanner.kind == DIRECTORY:
            raise self._linked_directory(waiting[0], path)
        elif waiting:
            self._serve(path)
            self._promote(scanner, waiting)
        else:
            self.links.note_hidden(path, scanner.ordinal)
            scanner.drop()
        if scanner.kind != DIRECTORY:
            if self.links.are_waiting_below(path):
                self._serve(path)
            self.links.hide_below(path, itself=False)

    def _serve(self, path: bytes) -> None:
        self._served.add(path)
        self._served_names += len(path) + _BYTES_PER_SERVED

    def _pass_over(self, scanner: TarScanner) -> None:
        """Drop an entry of the base that a later one of its layer replaces."""
        if scanner.kind == HARD_LINK:
            target = self.links.resolve(scanner.link)
            self.links.note_alias(scanner.path, target)
        elif scanner.kind != DIRECTORY:
            self.links.note_hidden(scanner.path, scanner.ordinal)
        scanner.drop()

    def broken_link(self, link: Link, target: bytes) -> BadArchive:
        """The error for a link whose file no layer holds."""
        if self.index.directory_from(target) == link.layer:
            return self._linked_directory(link, target)
        return broken_link(self._layers[link.layer].where, link, target)

    def _linked_directory(self, link: Link, target: bytes) -> BadArchive:
        return linked_directory(self._layers[link.layer].where, link, target)

    def _read_base(self) -> PathIndex:
        if self._base is None:
            self._report.fallbacks += 1
            base = self._layers[: self._options.kept]
            self._base = read_base(base, self._options, taken=self.memory)
        return self._base
