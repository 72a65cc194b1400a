"""Splitter: cuts the merged tar into several layers, each of about the same packed size.

Its parts lie upon one another and must look like the whole:

1. A part ends between two entries. Where, depends on the tar and on estimates alone, never on
   timing; the sizes of the parts that are complete correct the estimates.
2. A directory's header precedes what the directory holds, in every part that holds any of it:
   unpackers that unpack each layer by itself make missing directories with metadata of their own.
3. A hard link stands in the part of its file, since it cannot point into another layer.
4. An opaque marker stands in the first part that holds anything of its directory, since it would
   hide what lower parts hold there. A whiteout may stand anywhere: nothing in the tar has its path.
5. No part holds a path twice.

Rules 3 and 4 need to know what follows. If a link or a marker comes whose part is complete, the
rest of the tar is only looked at, and EarlyNeeded is raised: on the next pass links follow their
file at once, and markers precede what their directory holds, wherever they stood.
"""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.archive.header import DIRECTORY, END_OF_ARCHIVE, HARD_LINK
from squashproxy.errors import LimitExceeded
from squashproxy.span import New, Span
from squashproxy.squash.packed_estimate import PackedEstimate
from squashproxy.squash.pass_facts import EarlyEntries, EarlyNeeded
from squashproxy.squash.span_tar import SpanTar
from squashproxy.squash.split_parts import PartDirectories, PartLinks
from squashproxy.squash.whiteout import OPAQUE_NAME

MOST_LAYERS = 127
"""The most layers of an image: overlay file systems mount 128, and the container needs one."""

_LEAST_SHARE = 4
"""A part does not end before it has this fraction (a quarter) of its size, however large the next
file is.
"""


class Splitter:
    """Cuts `spans`, one merged tar, into at most `most` parts.

    `size` is that of a part, in bytes of its blob; a part may be larger, since no file is cut.
    `early` is what an earlier pass found. `max_memory` limits what is remembered of paths, in
    bytes.
    """

    def __init__(
        self,
        spans: Iterator[Span],
        *,
        size: int,
        most: int,
        estimate: PackedEstimate,
        early: EarlyEntries | None = None,
        max_memory: int | None = None,
    ) -> None:
        self._tar = SpanTar(spans, estimate)
        self._steps = self._tar.iter_steps()
        self._size = size
        self._most = most
        self._max_memory = max_memory
        self._directories = PartDirectories(early)
        self._links = PartLinks(early)
        self._is_early = early is not None
        self._begun = 0
        self._began_at = 0
        self._estimated = self._packed = 0
        self._is_waiting = False
        self._is_within = False
        self._behind: list[bytes] = []
        self.is_done = False
        """Whether the last part has ended."""

    def iter_part(self) -> Iterator[Span]:
        """The spans of the next part, a whole tar; none at all where nothing is left.

        To be read to its end before the next one. Raises EarlyNeeded, LimitExceeded for more than
        `most` parts or `max_memory`, and what reading the spans raises.
        """
        self._is_within = True
        try:
            is_empty = True
            for span in self._iter_entries():
                is_empty = False
                yield span
            if not is_empty:
                yield New(END_OF_ARCHIVE)
            self._is_within = False
        finally:
            if self._is_within:
                self._tar.close()

    def close(self) -> None:
        """Give the rest of the tar up, unless a part is being read: then its reader closes it."""
        if not self._is_within:
            self._tar.close()

    @property
    def parts(self) -> int:
        """How many parts were begun."""
        return self._begun

    def note_packed(self, size: int) -> None:
        """Note the size of the blob that the last part became; it corrects the estimate."""
        self._packed += size

    def _iter_entries(self) -> Iterator[Span]:
        self._begin_part()
        tar = self._tar
        if self._is_waiting:
            self._is_waiting = False
            yield from self._iter_decided()
        for is_entry in self._steps:
            if not is_entry:
                yield from tar.take(tar.end)
            elif self._is_full():
                yield from self._iter_taken(tar.start)
                self._end_part()
                return
            else:
                yield from self._iter_decided()
        yield from self._iter_taken(tar.end)
        self.is_done = True

    def _begin_part(self) -> None:
        self._begun += 1
        if self._begun > self._most:
            raise LimitExceeded(
                f"the squashed layer would become more than {self._most} layers, and container "
                f"runtimes take {MOST_LAYERS} in all",
                advice="raise {max-layer-size}",
            )
        self._directories.begin_part()
        self._links.begin_part()

    def _is_full(self) -> bool:
        """Whether the part ends before the entry at the cursor."""
        packed = self._corrected(self._tar.packed_before - self._began_at)
        if packed < self._size // _LEAST_SHARE:
            return False
        return packed + self._corrected(self._tar.packed_size) // 2 > self._size

    def _corrected(self, estimated: int) -> int:
        """An estimate, corrected by what the parts so far became."""
        return estimated * self._packed // self._estimated if self._estimated else estimated

    def _end_part(self) -> None:
        before = self._tar.packed_before
        self._estimated += before - self._began_at
        self._began_at = before
        self._is_waiting = True

    def _iter_taken(self, end: int) -> Iterator[Span]:
        """What stays up to byte `end` of the tar, where an entry ends, and what follows that."""
        yield from self._tar.take(end)
        yield from map(New, self._behind)
        self._behind = []

    def _iter_decided(self) -> Iterator[Span]:
        """Decide the entry at the cursor; spans leave where they cannot go on unchanged."""
        tar = self._tar
        before, stays, behind = self._decide()
        tar.scanner.drop()
        if before or not stays or self._behind:
            yield from self._iter_taken(tar.start)
            yield from map(New, before)
        self._behind = behind
        if not stays:
            tar.skip()

    def _decide(self) -> tuple[list[bytes], bool, list[bytes]]:
        """Entries to put before the one at the cursor, whether it stays, and those behind it."""
        entry, directories, links = self._tar.scanner, self._directories, self._links
        if entry.kind == DIRECTORY:
            before = directories.enter(entry.parent) if entry.path else []
            stays, behind = directories.place(entry.path, entry.header)
            self._check_memory()
            return before, stays, behind
        if entry.name == OPAQUE_NAME:
            is_late = directories.is_below(entry.parent)
            directories.note_opaque(entry.parent)
            if is_late and not self._is_early:
                self._raise_early()
            return directories.enter(entry.parent), not self._is_early, []
        if entry.kind == HARD_LINK:
            is_late = not links.holds(entry.link)
            links.note(entry.path, entry.link, entry.header)
            if self._is_early:
                return [], False, []
            if is_late:
                self._raise_early()
            self._check_memory()
            return directories.enter(entry.parent), True, []
        links.note_file(entry.path)
        before = directories.enter(entry.parent)
        behind = []
        for path, header in links.of(entry.path):
            behind += [*directories.enter(path.rpartition(b"/")[0]), header]
        return before, True, behind

    def _raise_early(self) -> None:
        """Look at the rest of the tar, and raise EarlyNeeded."""
        tar, entry = self._tar, self._tar.scanner
        entry.drop()
        for is_entry in self._steps:
            if is_entry:
                self._note()
                entry.drop()
            tar.skip()
        raise EarlyNeeded(self._links.early(self._directories))

    def _note(self) -> None:
        entry = self._tar.scanner
        if entry.kind == DIRECTORY:
            self._directories.note(entry.path, entry.header)
        elif entry.name == OPAQUE_NAME:
            self._directories.note_opaque(entry.parent)
        elif entry.kind == HARD_LINK:
            self._links.note(entry.path, entry.link, entry.header)
        self._check_memory()

    def _check_memory(self) -> None:
        limit = self._max_memory
        if limit is not None and self._directories.memory + self._links.memory > limit:
            raise LimitExceeded(
                f"the image has more than {limit} bytes to remember",
                advice="raise the limit with {memory} if you trust the image",
            )
