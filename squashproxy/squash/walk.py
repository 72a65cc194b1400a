"""Reads one layer and has each of its entries decided, or only looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from squashproxy.archive.header import KINDS
from squashproxy.archive.path import BadEntry
from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import BadArchive, IntegrityError
from squashproxy.span import Inflated, Span
from squashproxy.squash.layer import KnownLayer, Layer, ScannedLayer
from squashproxy.squash.listed_scanner import ListedScanner
from squashproxy.squash.listing import Entry, Listing, ListingCheck, ListingRecorder

Decision = Callable[[TarScanner], None]
"""Keeps, drops or rewrites an entry."""
Note = Callable[[Entry], None]
"""Looks at an entry."""

_LISTED_AT_ONCE = 1024


def iter_walk(
    layer: Layer, scanner: TarScanner, decide: Decision, is_done: Callable[[], bool] = lambda: False
) -> Iterator[list[Span]]:
    """Read `layer`, `decide` each entry, and yield the spans chunk by chunk.

    Once `is_done`, the rest of the layer is read but not looked at. Raises BadArchive, also for a
    BadEntry of `decide`, and what reading the layer raises. A layer that is damaged, or in which
    `decide` raises IntegrityError, is read to its end first: if the blob's digest is wrong, that
    error explains all others.
    """
    with closing(layer.open()) as stream:
        for chunk in stream:
            try:
                _decide_all(scanner, chunk, decide)
            except (BadArchive, IntegrityError):
                stream.skip_rest()
                raise
            yield scanner.take()
            if is_done():
                stream.skip_rest()
                return
    yield scanner.finish()


def _decide_all(scanner: TarScanner, chunk: Inflated, decide: Decision) -> None:
    scanner.feed(chunk)
    while scanner.advance():
        try:
            _check_kind(scanner.kind)
            decide(scanner)
        except BadEntry as error:
            raise error.at(scanner.where, scanner.path) from error


def _check_kind(kind: bytes) -> None:
    if kind not in KINDS:
        raise BadEntry(f"has the unknown type {kind.decode('latin-1')!a}")


def iter_noted(
    layer: ScannedLayer, note: Note, recorder: ListingRecorder | None = None
) -> Iterator[int]:
    """Have each entry of `layer` noted; yield the bytes of tar so far, at last all of them.

    A layer that is read as a tar is recorded. Its digest is checked when it was read to its end.
    Raises what `iter_walk` raises.
    """
    if isinstance(layer, KnownLayer):
        yield from _iter_listed(layer, note)
        return
    scanner = TarScanner(layer.where, 0)

    def decide(entry: TarScanner) -> None:
        if recorder is not None:
            recorder.note(entry)
        note(entry)
        entry.drop()

    for _ in iter_walk(layer, scanner, decide):
        yield scanner.consumed


class Recording:
    """The listing of the layer that is read, for `on_listing`, if anyone wants it.

    A KnownLayer has one already. `most` is the most bytes of one that is recorded.
    """

    def __init__(
        self, layer: ScannedLayer, on_listing: Callable[[Listing], None] | None, most: int
    ) -> None:
        is_wanted = on_listing is not None and not isinstance(layer, KnownLayer)
        self._on_listing = on_listing
        self.recorder = ListingRecorder(most) if is_wanted else None
        """Records the entries of the layer; None where nobody wants them."""

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that this takes."""
        return 0 if self.recorder is None else self.recorder.memory

    def finish(self, unpacked: int) -> None:
        """The layer, whose tar has `unpacked` bytes, was read to its end."""
        listing = None if self.recorder is None else self.recorder.finish(unpacked)
        if listing is not None and self._on_listing is not None:
            self._on_listing(listing)


def iter_walk_listed(
    layer: KnownLayer,
    scanner: ListedScanner,
    decide: Decision,
    is_done: Callable[[], bool] = lambda: False,
) -> Iterator[list[Span]]:
    """As `iter_walk`, for a layer that is known and not read."""
    while scanner.advance():
        try:
            decide(scanner)
        except BadEntry as error:
            raise error.at(layer.where, scanner.path) from error
        if not scanner.ordinal % _LISTED_AT_ONCE:
            yield scanner.take()
            if is_done():
                return
    yield scanner.finish()


def _iter_listed(layer: KnownLayer, note: Note) -> Iterator[int]:
    consumed = 0
    for entry in layer.listing:
        try:
            note(entry)
        except BadEntry as error:
            raise error.at(layer.where, entry.path) from error
        consumed += entry.span_size
        if not entry.ordinal % _LISTED_AT_ONCE:
            yield consumed
    yield layer.listing.unpacked


def walk(layer: ScannedLayer, note: Note) -> None:
    """Read `layer` only for what `note` learns from it."""
    for _ in iter_noted(layer, note):
        pass


def check_listing(layer: Layer, listing: Listing) -> None:
    """Read `layer` only to compare it with a remembered listing.

    Raises IntegrityError at the first entry that differs, or at the end, and what reading the layer
    raises.
    """
    check = ListingCheck(listing, layer.where)
    scanner = TarScanner(layer.where, 0)

    def decide(entry: TarScanner) -> None:
        check.note(entry)
        entry.drop()

    for _ in iter_walk(layer, scanner, decide):
        pass
    check.finish(scanner.consumed)
