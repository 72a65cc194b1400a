"""The level of a new zstd layer: the lowest that compresses as well as the sources were compressed.

A zstd frame does not say at which level it was made. So a sample of the content is compressed at
one level after the other until it is as small as in its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from squashproxy.codec import zstd
from squashproxy.span import Kept, Span

SAMPLE = 8 << 20
"""The size of the sample in bytes of content."""

LEVELS = (zstd.LEVEL, 6, 9, 12, 15, 19)
"""The levels that are tried. Higher ones need more memory to read than clients may have."""

PIECE = 256 << 10
"""Blobs are counted in pieces of this many bytes; one may have been read but not yet inflated.

Not streams.CHUNK, though it has the same value: the count decides the level, so another one would
change the digests of results.
"""


def take_sample(spans: Iterable[Span]) -> tuple[Sequence[Span], Iterator[Span]]:
    """The first spans as a sample, and an iterator of all spans."""
    stream = iter(spans)
    sample: list[Span] = []
    size = 0
    while size < SAMPLE and (span := next(stream, None)) is not None:
        sample.append(span)
        size += len(span.data)
    return sample, chain(sample, stream)


def choose_level(sample: Sequence[Span]) -> int:
    """The lowest level at which the sample is no larger than its share.

    If there is none, the level with the smallest result.
    """
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
    """The compressed size of the sample's kept bytes in their sources; None if not counted."""
    rates: dict[int, float] = {}
    kept: dict[int, int] = {}
    for span in sample:
        if isinstance(span, Kept) and span.sources[-1].read:
            read = span.sources[-1].read
            certain = read - PIECE if read > 4 * PIECE else read
            rates[span.stream] = certain / (span.offset + len(span.data))
            kept[span.stream] = kept.get(span.stream, 0) + len(span.data)
    return sum(rates[stream] * kept[stream] for stream in kept) if kept else None
