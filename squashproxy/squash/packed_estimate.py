"""PackedEstimate: about how much of a blob a stretch of the merged tar takes up.

What an encoder has written so far depends on its threads, so it cannot decide where a layer is cut.
The code that a stretch came from can: its size depends on the source alone.
"""

from __future__ import annotations

from squashproxy.span import Inflated, Kept, Span

ONE = 1 << 16
"""A rate of one byte of blob for each byte of tar. Rates are integers, so sums of them are exact
however the tar is cut into spans.
"""

_USUAL = ONE * 2 // 5
_HEADER = ONE // 8
_MOST = 2 * ONE
_SETTLED = 4 << 20


class PackedEstimate:
    """Gives each span a rate, in units of `ONE`.

    Where the new layer `is_compressed`, the rate of a stretch is that of the gzip blocks around it
    in its source, or of a zstd layer so far; 0.4 where neither is known.
    """

    def __init__(self, *, is_compressed: bool) -> None:
        self._is_compressed = is_compressed
        self._stream = -1
        self._rate = _USUAL

    def rate_of(self, span: Span) -> int:
        """The rate of a span's bytes; spans come in their order."""
        if not self._is_compressed:
            return ONE
        if not isinstance(span, Kept):
            return _HEADER
        if span.stream != self._stream:
            self._stream = span.stream
            self._rate = _USUAL
        end = span.offset + len(span.data)
        found = _rate_of_source(span.sources[-1], end) if span.sources else None
        if found is not None:
            self._rate = min(found, _MOST)
        return self._rate


def _rate_of_source(source: Inflated, end: int) -> int | None:
    """The rate of a chunk of a layer, which a span ends in at byte `end` of the layer's tar."""
    if source.chains:
        first, last = source.chains[0], source.chains[-1]
        content = last.end - first.start.offset
        return (last.end_bit - first.start.bit) * ONE // (8 * content) if content else None
    return source.read * ONE // end if source.read and end > _SETTLED else None
