"""What a new zstd layer may weigh at most: its bytes' share of the sources' compressed size.

Nothing in a zstd frame tells at which level it was made, so a sample of the content is compressed
at one level after the other, until it is as small as it was in its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from squashproxy.codec import zstd
from squashproxy.span import Kept, Span

SAMPLE = 8 << 20
"""Bytes of content that are tried."""

LEVELS = (zstd.LEVEL, 6, 9, 12, 15, 19)
"""Higher ones need more memory to read than registries' clients may have."""

_PIECE = 256 << 10
"""Of a blob so much may be read already, but not yet inflated."""


def take_sample(spans: Iterable[Span]) -> tuple[Sequence[Span], Iterator[Span]]:
    """The first spans, and all of them again."""
    stream = iter(spans)
    sample: list[Span] = []
    size = 0
    while size < SAMPLE and (span := next(stream, None)) is not None:
        sample.append(span)
        size += len(span.data)
    return sample, chain(sample, stream)


def choose_level(sample: Sequence[Span]) -> int:
    """The lowest level at which the sample weighs no more than its share; else the smallest's."""
    share = _share(sample)
    if share is None:
        return zstd.LEVEL
    content = b"".join(span.data for span in sample)
    sizes = {}
    for level in LEVELS:
        sizes[level] = sum(map(len, zstd.iter_deflated((content,), level, 1)))
        if sizes[level] <= share:
            return level
    return min(sizes, key=lambda level: sizes[level])


def _share(sample: Sequence[Span]) -> float | None:
    """What the kept bytes of the sample weighed in their sources; None where nobody counted."""
    rates: dict[int, float] = {}
    kept: dict[int, int] = {}
    for span in sample:
        if isinstance(span, Kept) and span.sources[-1].read:
            read = span.sources[-1].read
            certain = read - _PIECE if read > 4 * _PIECE else read
            rates[span.stream] = certain / (span.offset + len(span.data))
            kept[span.stream] = kept.get(span.stream, 0) + len(span.data)
    return sum(rates[stream] * kept[stream] for stream in kept) if kept else None
