"""Merge: layers in, from the top down; spans of one merged tar out (DESIGN.md, section 4).

Every entry is decided when its header arrives; nothing is held but paths. Where that cannot work,
the merge reads a layer again (`fallbacks` counts these), and where even that is too late it raises
RestartNeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from squashproxy.archive.header import DIRECTORY, END_OF_ARCHIVE, HARD_LINK, SYMLINK
from squashproxy.archive.path import shown
from squashproxy.archive.rewrite import directory_header, empty_file_header, with_link, with_path
from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import Ambiguous, BadArchive, LimitExceeded
from squashproxy.span import New, Span
from squashproxy.squash.base import read_base
from squashproxy.squash.index import DUPLICATE, LATE, REDIRECTED, VISIBLE, PathIndex, Remainder
from squashproxy.squash.layer import HiddenEntry, Layer, LayerCount, MergeOptions, MergeReport
from squashproxy.squash.links import Emitted, Hidden, Link, LinkTable, Lower, Target
from squashproxy.squash.whiteout import Mark, opaque_path, read_mark, whiteout_path


class RestartNeeded(Exception):
    """Something must be known before layer `layer` is read, and other layers are out already."""

    def __init__(self, layer: int) -> None:
        super().__init__(layer)
        self.layer = layer


class DuplicatePath(RestartNeeded):
    """A path stands twice in the layer, and the first entry may be out; see `find_superseded`."""


class LateDirectory(RestartNeeded):
    """The layer describes a directory whose children may be out; see `find_described`."""


class Merge:
    """One pass over the layers above the base.

    `layers` are all of the image, base first; those of the base are opened only where a hard link
    needs a file of theirs. `report` is complete when `iter_spans` ended. With `late` given, headers
    of late directories are put there instead of raising LateDirectory.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        options: MergeOptions,
        late: dict[bytes, bytes] | None = None,
    ) -> None:
        self._layers = layers
        self._options = options
        self._late = late
        self._keeps_base = options.kept > 0
        self._described = options.facts.described
        self._base: PathIndex | None = None
        self._index = PathIndex(self._described)
        self._links = LinkTable(self._index)
        self._number = len(layers)
        self._where = ""
        self._count = LayerCount()
        self._superseded: frozenset[int] = frozenset()
        self._streams = 0
        self.report = MergeReport()

    def iter_spans(self) -> Iterator[Span]:
        """The merged tar, piece by piece; empty where nothing is left above the base.

        Raises BadArchive, LimitExceeded, Ambiguous (`strict`), RestartNeeded, and what reading a
        layer raises.
        """
        for number in reversed(range(self._options.kept, len(self._layers))):
            yield from self._iter_layer(number)
        for number in reversed(range(self._options.kept)):
            if not self._links.parked:
                break
            yield from self._iter_base_layer(number)
        self._refuse_parked()
        yield from self._iter_remainders()
        if not self.report.empty:
            yield New(END_OF_ARCHIVE)

    def _iter_layer(self, number: int) -> Iterator[Span]:
        scanner = self._begin(number)
        with closing(self._layers[number].open()) as chunks:
            for chunk in chunks:
                scanner.feed(chunk)
                while scanner.advance():
                    self._decide(scanner)
                self._check_limits(scanner)
                yield from self._noted(scanner.take())
        yield from self._noted(scanner.finish())
        self.report.touched |= scanner.touched
        yield from self._end_layer(number)

    def _iter_base_layer(self, number: int) -> Iterator[Span]:
        """Read a kept layer for the files that hard links above it need."""
        self.report.fallbacks += 1
        scanner = self._begin(number)
        with closing(self._layers[number].open()) as chunks:
            for chunk in chunks:
                scanner.feed(chunk)
                while scanner.advance():
                    self._search(scanner)
                yield from self._noted(scanner.take())
        yield from self._noted(scanner.finish())
        yield from self._end_layer(number)

    def _begin(self, number: int) -> TarScanner:
        self._number = number
        self._where = self._layers[number].where
        self._count = self.report.layers.setdefault(number, LayerCount())
        self._superseded = self._options.facts.superseded.get(number, frozenset())
        self._index.begin_layer(number)
        self._links.begin_layer()
        return self._scan()

    def _scan(self) -> TarScanner:
        self._streams += 1
        return TarScanner(self._where, self._streams - 1)

    def _end_layer(self, number: int) -> Iterator[Span]:
        if self._links.promised:
            yield from self._iter_promised(number)
        target = self._links.find_broken()
        if target is not None:
            raise self._broken(self._links.parked[target][0], target)

    def _noted(self, spans: list[Span]) -> list[Span]:
        if spans:
            self.report.empty = False
        return spans

    def _decide(self, scanner: TarScanner) -> None:
        self._count.entries += 1
        if b".wh." in scanner.path and self._decide_mark(scanner):
            return
        if self._superseded and scanner.ordinal in self._superseded:
            self._drop_superseded(scanner)
        elif scanner.kind == HARD_LINK:
            self._decide_link(scanner)
        else:
            self._decide_entry(scanner)

    def _decide_entry(self, scanner: TarScanner) -> None:
        is_directory = scanner.kind == DIRECTORY
        hidden_by = self._place(scanner, is_directory=is_directory)
        if is_directory and hidden_by != VISIBLE and scanner.path in self._described:
            scanner.drop()
            return
        waiting = self._links.try_take(scanner.path) if self._links.parked else None
        if waiting and is_directory:
            raise self._linked_directory(waiting[0], scanner.path)
        if hidden_by == VISIBLE:
            scanner.keep()
            self._insert_links(scanner, waiting or (), scanner.path)
            if is_directory:
                self._mark_replaced(scanner)
        elif waiting:
            self._promote(scanner, waiting)
        else:
            self._hide(scanner, hidden_by)
        if scanner.kind == SYMLINK:
            self._index.note_symlink(scanner.path, scanner.link)
        if self._links.parked and not is_directory:
            self._links.hide_below(scanner.path, itself=False)

    def _decide_link(self, scanner: TarScanner) -> None:
        target = self._links.resolve(self._index.resolve(scanner.link))
        hidden_by = self._place(scanner, is_directory=False)
        waiting = self._links.try_take(scanner.path) if self._links.parked else None
        if self._index.holds_directory(scanner.link):
            link = Link(scanner.path, b"", self._number)
            raise self._linked_directory(link, scanner.link)
        if hidden_by != VISIBLE:
            self._count_hidden(scanner, hidden_by)
            self._links.note_alias(scanner.path, target)
            scanner.drop()
        elif isinstance(target, Emitted):
            self._keep_link(scanner, target.path)
        else:
            self._park(scanner, target)
        self._pass_on(scanner, waiting, target)
        if self._links.parked:
            self._links.hide_below(scanner.path, itself=False)

    def _place(self, scanner: TarScanner, *, is_directory: bool) -> int:
        """The verdict on the entry, VISIBLE or the layer that hides it."""
        verdict = self._index.place(scanner.path, is_directory=is_directory)
        if verdict == REDIRECTED:
            scanner.rename(self._index.resolve(scanner.path))
            verdict = self._index.place(scanner.path, is_directory=is_directory)
        if verdict == DUPLICATE:
            self._warn_duplicate(scanner.path)
            raise DuplicatePath(self._number)
        self._insert_described(scanner)
        if verdict == LATE:
            self._note_late(scanner)
            return VISIBLE
        if verdict != VISIBLE and not is_directory:
            self._warn_implied(scanner.path)
        return verdict

    def _insert_described(self, scanner: TarScanner) -> None:
        """Directories that this entry implies, and that a lower layer describes, go out first."""
        for path in self._index.take_described():
            scanner.insert_before(self._described[path])

    def _note_late(self, scanner: TarScanner) -> None:
        """A directory comes after entries below it, which is harmless without a base."""
        if not self._keeps_base or not self._options.reads_base:
            return
        if not self._read_base().shows_other(scanner.path):
            return
        if self._late is None:
            raise LateDirectory(self._number)
        self._late[scanner.path] = scanner.header

    def _decide_mark(self, scanner: TarScanner) -> bool:
        """Handle whiteouts, opaque markers and aufs leftovers; False for an ordinary entry."""
        try:
            mark, path = read_mark(self._index.resolve(scanner.path))
        except BadArchive as error:
            raise BadArchive(
                f"{self._where}: the entry {shown(scanner.path)} {error}; build the image again"
            ) from error
        if mark is Mark.ENTRY:
            return False
        if mark is Mark.AUFS:
            self._hide(scanner, self._number)
        elif mark is Mark.WHITEOUT:
            self._index.remove(path)
            self._insert_described(scanner)
            self._links.hide_below(path, itself=True)
            self.report.touched |= not self._keeps_base
            scanner.drop()
        elif self._counts_opaque(scanner, path):
            scanner.keep()
        else:
            self.report.touched = True
            scanner.drop()
        return True

    def _counts_opaque(self, scanner: TarScanner, directory: bytes) -> bool:
        self._links.hide_below(directory, itself=False)
        is_first = self._index.make_opaque(directory)
        self._insert_described(scanner)
        return is_first and self._keeps_base and self._index.try_mark(directory)

    def _mark_replaced(self, scanner: TarScanner) -> None:
        """A whiteout of this very directory stood in its layer: what is below it must not show."""
        path = scanner.path
        if self._keeps_base and self._index.is_removed_here(path) and self._index.try_mark(path):
            scanner.insert_after(empty_file_header(opaque_path(path)))

    def _keep_link(self, scanner: TarScanner, target: bytes) -> None:
        if target == scanner.link:
            scanner.keep()
        else:
            scanner.replace(with_link(scanner.header, target))

    def _park(self, scanner: TarScanner, target: Hidden | Lower) -> None:
        """The link's file is not in the output yet; the link goes out when the file does."""
        if isinstance(target, Lower):
            self._ambiguous(
                f"{self._where}: the hard link {shown(scanner.path)} points to "
                f"{shown(target.path)}, which its layer does not hold; overlay unpackers fail on "
                "that, so the result holds the file itself",
                "lower link",
            )
        self._links.wait(target, [Link(scanner.path, scanner.header, self._number)])
        self._links.note_alias(scanner.path, target)
        self.report.touched = True
        scanner.drop()

    def _pass_on(self, scanner: TarScanner, waiting: list[Link] | None, target: Target) -> None:
        """Links of upper layers waited for this path, which is a link itself."""
        if not waiting:
            return
        if isinstance(target, Emitted):
            self._insert_links(scanner, waiting, target.path)
        else:
            self._links.wait(target, waiting)

    def _promote(self, scanner: TarScanner, links: Sequence[Link]) -> None:
        """The first surviving link becomes the file, with all its metadata."""
        first, *others = links
        scanner.replace(with_path(scanner.header, first.path))
        self._insert_links(scanner, others, first.path)
        self._links.note_alias(scanner.path, Emitted(first.path))

    def _insert_links(self, scanner: TarScanner, links: Sequence[Link], target: bytes) -> None:
        for link in links:
            scanner.insert_after(with_link(link.header, target))

    def _drop_superseded(self, scanner: TarScanner) -> None:
        self._warn_duplicate(scanner.path)
        if scanner.kind == HARD_LINK:
            target = self._links.resolve(self._index.resolve(scanner.link))
            self._links.note_alias(scanner.path, target)
            self._count_hidden(scanner, self._number)
            scanner.drop()
        else:
            self._hide(scanner, self._number)

    def _hide(self, scanner: TarScanner, hidden_by: int) -> None:
        if scanner.kind != DIRECTORY:
            self._links.note_hidden(scanner.path, scanner.ordinal)
        self._count_hidden(scanner, hidden_by)
        scanner.drop()

    def _count_hidden(self, scanner: TarScanner, hidden_by: int) -> None:
        self._count.hidden_bytes += scanner.span_size
        self._count.hidden_entries += 1
        self.report.touched = True
        if self._options.on_hidden is not None:
            entry = HiddenEntry(scanner.path, scanner.size, self._number, hidden_by)
            self._options.on_hidden(entry)

    def _search(self, scanner: TarScanner) -> None:
        """An entry of the kept base: it matters only to links that wait for its path."""
        path = scanner.path
        mark, marked = read_mark(path)
        if mark in (Mark.WHITEOUT, Mark.OPAQUE):
            self._links.hide_below(marked, itself=mark is Mark.WHITEOUT)
            scanner.drop()
            return
        waiting = self._links.try_take(path)
        if scanner.kind == HARD_LINK:
            target = self._links.resolve(scanner.link)
            self._links.note_alias(path, target)
            scanner.drop()
            self._pass_on(scanner, waiting, target)
        elif waiting and scanner.kind == DIRECTORY:
            raise self._linked_directory(waiting[0], path)
        elif waiting:
            self._promote(scanner, waiting)
        else:
            self._links.note_hidden(path, scanner.ordinal)
            scanner.drop()
        if scanner.kind != DIRECTORY:
            self._links.hide_below(path, itself=False)

    def _iter_promised(self, number: int) -> Iterator[Span]:
        """Read the layer again for files that are hidden, but live on under their links' names."""
        self.report.fallbacks += 1
        promised = self._links.promised
        scanner = self._scan()
        with closing(self._layers[number].open()) as chunks:
            for chunk in chunks:
                scanner.feed(chunk)
                while scanner.advance():
                    links = promised.get(scanner.ordinal)
                    if links:
                        self._count.hidden_bytes -= scanner.span_size
                        self._promote(scanner, links)
                    else:
                        scanner.drop()
                yield from self._noted(scanner.take())
        yield from self._noted(scanner.finish())

    def _iter_remainders(self) -> Iterator[Span]:
        remainders = self._index.iter_remainders(
            keeps_base=self._keeps_base,
            read_base=self._read_base if self._options.reads_base else None,
        )
        for remainder, path in remainders:
            self.report.empty = False
            if remainder is Remainder.WHITEOUT:
                yield New(empty_file_header(whiteout_path(path)))
                continue
            self.report.touched = True
            if remainder is Remainder.OPAQUE:
                yield New(empty_file_header(opaque_path(path)))
            else:
                yield New(directory_header(path))

    def _read_base(self) -> PathIndex:
        if self._base is None:
            self.report.fallbacks += 1
            self._base = read_base(self._layers[: self._options.kept])
        return self._base

    def _warn_implied(self, path: bytes) -> None:
        if self._index.is_implied(path) and self._index.is_removed_here(path):
            self._ambiguous(
                f"{self._where}: {shown(path)} is no directory, but an upper layer has entries "
                "below it; as on overlay file systems, the upper layer's directory replaces it",
                "implied",
            )

    def _warn_duplicate(self, path: bytes) -> None:
        self._ambiguous(
            f"{self._where} holds {shown(path)} more than once; the last one counts", "duplicate"
        )

    def _ambiguous(self, sentence: str, kind: str) -> None:
        if self._options.strict:
            raise Ambiguous(f"{sentence} (refused because of --strict)")
        self.report.warn(self._number, kind, sentence)

    def _check_limits(self, scanner: TarScanner) -> None:
        self._count.unpacked = scanner.consumed
        options, report = self._options, self.report
        for what, value, limit, option in (
            ("entries", report.entries, options.max_entries, "--max-entries"),
            ("unpacked bytes", report.unpacked, options.max_unpacked, "--max-unpacked"),
            ("bytes of index", self._index.memory, options.max_memory, "--memory"),
        ):
            if limit is not None and value > limit:
                raise LimitExceeded(
                    f"{self._where}: the image has more than {limit} {what}; nothing was pushed; "
                    f"raise the limit with {option} if you trust the image"
                )

    def _refuse_parked(self) -> None:
        for links in self._links.parked.values():
            raise self._broken(links[0], next(iter(self._links.parked)))

    def _broken(self, link: Link, target: bytes) -> BadArchive:
        return BadArchive(
            f"{self._layers[link.layer].where}: the hard link {shown(link.path)} points to "
            f"{shown(target)}, which neither its layer nor one below holds; no unpacker can make "
            "it, so build the image again"
        )

    def _linked_directory(self, link: Link, target: bytes) -> BadArchive:
        return BadArchive(
            f"{self._layers[link.layer].where}: the hard link {shown(link.path)} points to the "
            f"directory {shown(target)}, which no unpacker can make; build the image again"
        )
