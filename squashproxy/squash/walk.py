"""Reads one layer and has each of its entries decided, or only looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

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
            decide(scanner)
        except BadEntry as error:
            raise error.at(scanner.where, scanner.path) from error


def iter_noted(
    layer: ScannedLayer, note: Note, on_listing: Callable[[Listing], None] | None = None
) -> Iterator[int]:
    """Have each entry of `layer` noted; yield the bytes of tar so far, at last all of them.

    A layer that is read as a tar is recorded for `on_listing`, which is called once the layer was
    read to its end, and its digest checked with it. Raises what `iter_walk` raises.
    """
    if isinstance(layer, KnownLayer):
        yield from _iter_listed(layer, note)
        return
    scanner = TarScanner(layer.where, 0)
    recorder = None if on_listing is None else ListingRecorder()

    def decide(entry: TarScanner) -> None:
        if recorder is not None:
            recorder.note(entry)
        note(entry)
        entry.drop()

    for _ in iter_walk(layer, scanner, decide):
        yield scanner.consumed
    if recorder is not None and on_listing is not None:
        on_listing(recorder.finish(scanner.consumed))


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
