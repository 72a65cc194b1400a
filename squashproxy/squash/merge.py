"""Merge: reads layers from the top down and yields the spans of one merged tar.

Every entry is decided when its header arrives, so only paths are held in memory. If a link's file
went by too early, the layer is read again (`MergeReport.fallbacks` counts that). If something was
needed before output that is already out, the merge raises RestartNeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from squashproxy.archive.header import END_OF_ARCHIVE
from squashproxy.archive.rewrite import directory_header, empty_file_header, with_link
from squashproxy.archive.scanner import TarScanner
from squashproxy.span import New, Span
from squashproxy.squash.decide import EntryDecider
from squashproxy.squash.index import PathIndex
from squashproxy.squash.layer import KnownLayer, MergeOptions, MergeReport, ScannedLayer
from squashproxy.squash.limits import check_limits, most_listed
from squashproxy.squash.listed_scanner import ListedScanner
from squashproxy.squash.listing import ListingRecorder
from squashproxy.squash.pass_facts import Survey
from squashproxy.squash.remainders import Remainder
from squashproxy.squash.walk import Decision, iter_walk, iter_walk_listed
from squashproxy.squash.whiteout import opaque_path, whiteout_path


class Merge:
    """One pass over the layers above the base.

    `layers` are all layers of the image, base first. The base is opened only if a hard link needs
    one of its files, or if a whiteout or directory leaves a question open (squash/base_index.py).
    A KnownLayer is counted as the layer itself would be, but zeros stand for what stays of it, so
    the output is good for nothing but its length (squash/listed_scanner.py).
    `report` is complete once `iter_spans` has ended; its fallbacks begin with the `fallbacks` of
    earlier passes. With a `survey`, facts are collected there instead of raising SurveyNeeded.
    """

    def __init__(
        self,
        layers: Sequence[ScannedLayer],
        options: MergeOptions,
        survey: Survey | None = None,
        *,
        fallbacks: int = 0,
    ) -> None:
        self._layers = layers
        self.options = options
        self._streams = count()
        self._fallbacks = fallbacks
        self.report = MergeReport(fallbacks=fallbacks)
        self._decider = EntryDecider(layers, options, self.report, survey, self._streams)
        self._recorder: ListingRecorder | None = None
        self._entries = self._unpacked = self._holes = self._holes_above = 0
        self._links = self._decider.links

    @property
    def index(self) -> PathIndex:
        """The state of each path after the layers read so far, for a census of the base."""
        return self._decider.index

    def another(self) -> Merge:
        """The same pass once more, from its start: its spans are the same."""
        return Merge(self._layers, self.options, fallbacks=self._fallbacks)

    def iter_spans(self) -> Iterator[Span]:
        """The merged tar, span by span; none at all if nothing is left above the base.

        Raises BadArchive, LimitExceeded, Ambiguous (`strict`), RestartNeeded, and what reading a
        layer raises.
        """
        kept = self.options.kept
        for number in reversed(range(kept, len(self._layers))):
            yield from self._iter_recorded(number)
        for number in reversed(range(kept)):
            if not self._links.are_waiting:
                break
            self.report.fallbacks += 1
            yield from self._iter_layer(number, self._decider.search)
        self._links.begin_layer(-1)
        for target in list(self._links.parked):
            yield from self._iter_own_links(target)
        yield from self._iter_remainders()
        if not self.report.empty:
            yield New(END_OF_ARCHIVE)

    def run(self) -> MergeReport:
        """Merge for the report alone. Raises what `iter_spans` raises."""
        for _ in self.iter_spans():
            pass
        return self.report

    def _iter_recorded(self, number: int) -> Iterator[Span]:
        """Read a layer above the base, and give its listing to whoever wants it."""
        on_listing = self.options.on_listing
        if on_listing is None or isinstance(self._layers[number], KnownLayer):
            yield from self._iter_layer(number, self._decider.decide)
            return
        recorder = self._recorder = ListingRecorder(most_listed(self.options))

        def decide(scanner: TarScanner) -> None:
            recorder.note(scanner)
            self._decider.decide(scanner)

        def keep(unpacked: int) -> None:
            self._recorder = None
            listing = recorder.finish(unpacked)
            if listing is not None:
                on_listing(number, listing)

        yield from self._iter_layer(number, decide, keep)

    def _iter_layer(
        self, number: int, decide: Decision, on_end: Callable[[int], None] = lambda _: None
    ) -> Iterator[Span]:
        self._decider.begin_layer(number)
        self._holes_above = self._holes
        yield from self._iter_pass(number, decide)
        on_end(self.report.layers[number].unpacked)
        if self._links.promised:
            self.report.fallbacks += 1
            yield from self._iter_pass(number, self._take_promised, self._links.are_kept)
        while (target := self._links.find_cut()) is not None:
            yield from self._iter_own_links(target)
        self._entries += self.report.layers[number].entries
        self._unpacked += self.report.layers[number].unpacked

    def _iter_pass(
        self, number: int, decide: Decision, is_done: Callable[[], bool] = lambda: False
    ) -> Iterator[Span]:
        """Read one layer and `decide` its entries, until `is_done`."""
        layer, stream = self._layers[number], next(self._streams)
        scanner: TarScanner
        if isinstance(layer, KnownLayer):
            scanner = listed = ListedScanner(layer, stream)
            passes = iter_walk_listed(layer, listed, decide, is_done)
        else:
            scanner = TarScanner(layer.where, stream)
            passes = iter_walk(layer, scanner, decide, is_done)
        for spans in passes:
            self._check_limits(number, scanner)
            if spans:
                self.report.empty = False
                yield from spans
        self._holes = self._holes_above + scanner.holes
        self.report.touched |= scanner.touched

    def _take_promised(self, scanner: TarScanner) -> None:
        """On the second reading: write the hidden files that live on under their links' names."""
        links = self._links.try_keep(scanner.ordinal)
        if links:
            self._decider.revive(scanner, links)
        else:
            scanner.drop()

    def _iter_remainders(self) -> Iterator[Span]:
        for remainder, path in self._decider.iter_remainders(self._check_remainders):
            self.report.empty = False
            if remainder is Remainder.WHITEOUT:
                yield New(empty_file_header(whiteout_path(path)))
                continue
            self.report.touched = True
            if remainder is Remainder.OPAQUE:
                yield New(empty_file_header(opaque_path(path)))
            else:
                yield New(directory_header(path))

    def _check_limits(self, number: int, scanner: TarScanner) -> None:
        where = self._layers[number].where
        if number < self.options.kept:
            check_limits(where, self.options, memory=self._memory)
            return
        count = self.report.layers[number]
        count.unpacked = max(count.unpacked, scanner.consumed)
        unpacked = self._unpacked + count.unpacked + self._holes_above + scanner.holes
        self._check_all(where, entries=self._entries + count.entries, unpacked=unpacked)

    def _check_all(self, where: str, *, unpacked: int, entries: int = 0) -> None:
        check_limits(where, self.options, memory=self._memory, entries=entries, unpacked=unpacked)

    def _check_remainders(self, size: int) -> None:
        check_limits("the merged layer", self.options, memory=self._memory + size)

    @property
    def _memory(self) -> int:
        recorded = 0 if self._recorder is None else self._recorder.memory
        return self._decider.memory + recorded

    def _iter_own_links(self, target: bytes) -> Iterator[Span]:
        """Write links to `target`, which no lower layer holds: it came after them in their own.

        Raises BadArchive if their own layer does not hold it either.
        """
        links = self._links.try_take(target) or []
        is_circle = any(link.path == target for link in links)
        for link in links:
            if is_circle or self._decider.index.other_from(target) != link.layer:
                raise self._decider.broken_link(link, target)
            yield New(with_link(link.header, target))
