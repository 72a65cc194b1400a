"""Scanning for tests: a tar in chunks of any sizes, a decision for each entry, the spans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from squashproxy.archive.scanner import TarScanner
from squashproxy.span import Inflated, Kept, Span

WHERE = "layer 3"
STREAM = 7

Decision = Callable[[TarScanner], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the scanner said of one entry."""

    path: bytes
    kind: bytes
    link: bytes
    size: int
    span_size: int
    header: bytes
    ordinal: int


@dataclass(frozen=True, slots=True)
class Scan:
    """All entries and spans of one pass."""

    entries: list[Seen]
    spans: list[Span]
    touched: bool

    @property
    def data(self) -> bytes:
        """The tar that comes out, without an end."""
        return b"".join(bytes(span.data) for span in self.spans)

    @property
    def paths(self) -> list[bytes]:
        """The entries' paths."""
        return [entry.path for entry in self.entries]


def iter_cut(tar: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The tar in chunks that end at `cuts`."""
    start = 0
    for end in (*sorted(cuts), len(tar)):
        yield tar[start:end]
        start = end


def iter_chunks(tar: bytes, size: int) -> Iterator[bytes]:
    """The tar in chunks of `size` bytes."""
    return iter_cut(tar, range(size, len(tar), size))


def keep(scanner: TarScanner) -> None:
    """Keep every entry."""
    scanner.keep()


def scan(chunks: Iterable[bytes], decide: Decision = keep) -> Scan:
    """One pass over a tar."""
    scanner = TarScanner(WHERE, STREAM)
    entries: list[Seen] = []
    spans: list[Span] = []
    for chunk in chunks:
        scanner.feed(Inflated(chunk))
        while scanner.advance():
            entries.append(
                Seen(
                    scanner.path,
                    scanner.kind,
                    scanner.link,
                    scanner.size,
                    scanner.span_size,
                    scanner.header,
                    scanner.ordinal,
                )
            )
            decide(scanner)
        spans += scanner.take()
    spans += scanner.finish()
    return Scan(entries, spans, scanner.touched)


def misplaced(tar: bytes, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """The stretches, by offset and length, that are not the source's own bytes at that place."""
    return [
        (span.offset, len(span.data))
        for span in spans
        if isinstance(span, Kept)
        and (span.stream != STREAM or tar[span.offset :][: len(span.data)] != span.data)
    ]
