"""Reads one layer and has each of its entries decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from squashproxy.archive.path import BadEntry
from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import BadArchive
from squashproxy.span import Inflated, Span
from squashproxy.squash.layer import Layer

Decision = Callable[[TarScanner], None]


def iter_walk(
    layer: Layer, scanner: TarScanner, decide: Decision, is_done: Callable[[], bool] = lambda: False
) -> Iterator[list[Span]]:
    """Read `layer`, `decide` each entry, and yield the spans chunk by chunk.

    Once `is_done`, the rest of the layer is read but not looked at. Raises BadArchive, also for a
    BadEntry of `decide`, and what reading the layer raises. A damaged layer is read to its end
    first: if the blob's digest is wrong, that error explains all others.
    """
    with closing(layer.open()) as stream:
        for chunk in stream:
            try:
                _decide_all(scanner, chunk, decide)
            except BadArchive:
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


def walk(layer: Layer, decide: Decision) -> None:
    """Read `layer` only for what `decide` learns from it."""
    for _ in iter_walk(layer, TarScanner(layer.where, 0), decide):
        pass
