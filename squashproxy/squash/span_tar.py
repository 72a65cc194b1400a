"""SpanTar: steps through the entries of a tar that comes as spans, and cuts it between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from squashproxy.archive.scanner import TarScanner
from squashproxy.span import Inflated, New, Span
from squashproxy.squash.packed_estimate import ONE, PackedEstimate


class _Held(NamedTuple):
    """A span that was not taken yet: where it begins in the tar, and the estimate up to there."""

    start: int
    estimate: int
    rate: int
    span: Span


class SpanTar:
    """A cursor over the entries of the tar that `spans` give.

    `scanner` describes the entry at the cursor. Spans leave as they came, whole where possible.
    """

    def __init__(self, spans: Iterator[Span], estimate: PackedEstimate) -> None:
        self._spans = spans
        self._estimate = estimate
        self._held: deque[_Held] = deque()
        self._fed = 0
        self._estimated = 0
        self.scanner = TarScanner("the merged layer", 0)
        self.start = 0
        """Where the entry at the cursor begins in the tar."""
        self.end = 0
        """Where it ends, or will end."""

    def iter_steps(self) -> Iterator[bool]:
        """True at each entry, False at the end of each span: then what came so far can be taken.

        The entry is to be looked at before the next step.
        """
        scanner = self.scanner
        for span in self._spans:
            rate = self._estimate.rate_of(span)
            self._held.append(_Held(self._fed, self._estimated, rate, span))
            self._fed += len(span.data)
            self._estimated += len(span.data) * rate
            scanner.feed(Inflated(bytes(span.data)))
            while scanner.advance():
                self.start = scanner.offset
                self.end = self.start + scanner.span_size
                yield True
            yield False
        scanner.finish()

    @property
    def packed_before(self) -> int:
        """The estimated bytes of blob before the entry at the cursor."""
        held = next(held for held in reversed(self._held) if held.start <= self.start)
        return (held.estimate + (self.start - held.start) * held.rate) // ONE

    @property
    def packed_size(self) -> int:
        """The estimated bytes of blob of the entry at the cursor."""
        return self.scanner.span_size * self._held[-1].rate // ONE

    def take(self, end: int) -> Iterator[Span]:
        """The spans that were not taken yet, up to byte `end` of the tar."""
        held = self._held
        while held and held[0].start < end:
            start, estimate, rate, span = held.popleft()
            size = end - start
            if size >= len(span.data):
                yield span
                continue
            yield _cut(span, 0, size)
            rest = _cut(span, size, len(span.data))
            held.appendleft(_Held(end, estimate + size * rate, rate, rest))

    def skip(self) -> None:
        """Take what came so far, and discard it."""
        for _ in self.take(self.end):
            pass

    def close(self) -> None:
        """Stop reading before the end."""
        close = getattr(self._spans, "close", None)
        if close is not None:
            close()


def _cut(span: Span, first: int, end: int) -> Span:
    if isinstance(span, New):
        return New(span.data[first:end])
    return span._replace(offset=span.offset + first, data=span.data[first:end])
