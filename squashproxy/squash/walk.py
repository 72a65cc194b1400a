"""Walking through the entries of one layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from squashproxy.archive.path import BadEntry
from squashproxy.archive.scanner import TarScanner
from squashproxy.span import Span
from squashproxy.squash.layer import Layer

Decision = Callable[[TarScanner], None]


def iter_walk(layer: Layer, scanner: TarScanner, decide: Decision) -> Iterator[list[Span]]:
    """Read `layer` to its end and let `decide` speak on every entry; the spans, chunk by chunk.

    Raises BadArchive, also where `decide` raises BadEntry, and what reading the layer raises.
    """
    with closing(layer.open()) as chunks:
        for chunk in chunks:
            scanner.feed(chunk)
            while scanner.advance():
                try:
                    decide(scanner)
                except BadEntry as error:
                    raise error.at(scanner.where, scanner.path) from error
            yield scanner.take()
    yield scanner.finish()


def walk(layer: Layer, decide: Decision) -> None:
    """Read `layer` for what `decide` learns from it."""
    for _ in iter_walk(layer, TarScanner(layer.where, 0), decide):
        pass
