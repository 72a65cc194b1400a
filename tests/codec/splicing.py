"""Splicing for tests: blobs, what is kept of each, and the blob that comes out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from squashproxy.codec.block_finder import iter_blocks
from squashproxy.codec.blocks import iter_inflated
from squashproxy.codec.library import Library
from squashproxy.codec.splicer import Splicer
from squashproxy.span import Chain, Kept, New, Span
from tests.codec.blobs import WHERE, iter_pieces

Stretch = tuple[int, int]
"""From one offset of the content to another, excluded."""

BETWEEN = b"an entry of our own" * 30


@dataclass(frozen=True, slots=True)
class Part:
    """A blob, its content, and the stretches of that which stay.

    Where one stretch begins at the other's end, bytes of our own go between them.
    """

    blob: bytes
    content: bytes
    kept: Sequence[Stretch]

    @property
    def left(self) -> bytes:
        """The content that is kept."""
        return b"".join(
            BETWEEN * self.is_parted(start) + self.content[start:end] for start, end in self.kept
        )

    def is_parted(self, start: int) -> bool:
        """Whether bytes of our own go in front of the stretch that begins at `start`."""
        return any(start == end for _, end in self.kept)


@dataclass(frozen=True, slots=True)
class Spliced:
    """What came out."""

    blob: bytes
    spliced: int
    reencoded: int


def whole(blob: bytes, content: bytes) -> Part:
    """A blob of which everything stays."""
    return Part(blob, content, [(0, len(content))])


def splice(parts: Sequence[Part], library: Library, size: int = 256 << 10) -> Spliced:
    """The parts in one blob, a span of our own behind every second; read in pieces of `size`."""
    splicer = Splicer(library)
    blob = b"".join(splicer.iter_blob(_iter_spans(parts, library, size)))
    return Spliced(blob, splicer.spliced, splicer.reencoded)


def expected(parts: Sequence[Part]) -> bytes:
    """The content of what `splice` gives."""
    return b"".join(part.left + BETWEEN * (number % 2) for number, part in enumerate(parts))


def _iter_spans(parts: Sequence[Part], library: Library, size: int) -> Iterator[Span]:
    for number, part in enumerate(parts):
        offset = 0
        for chunk in iter_inflated(iter_pieces(part.blob, size), WHERE, library):
            view = memoryview(chunk.content)
            end = offset + len(view)
            for start, stop in part.kept:
                low, high = max(start, offset), min(stop, end)
                if low < high and low == start and part.is_parted(start):
                    yield New(BETWEEN)
                if low < high:
                    yield Kept(number, low, view[low - offset : high - offset], (chunk,))
            offset = end
        if number % 2:
            yield New(BETWEEN)


def told_apart(blob: bytes, chain: Chain, library: Library) -> list[Chain]:
    """The blocks of a chain of `blob`, one by one."""
    if chain.is_block:
        return [chain]
    code = blob[chain.start.bit >> 3 : (chain.end_bit + 7) >> 3]
    return list(iter_blocks(chain.start, code, library))


def some_content(seed: int, size: int) -> bytes:
    """Words, noise and zeros, as layers hold them."""
    noise = random.Random(seed)
    words = [noise.randbytes(noise.randint(2, 40)) for _ in range(300)]
    out = bytearray()
    while len(out) < size:
        kind = noise.random()
        if kind < 0.8:
            out += b"".join(noise.choices(words, k=60))
        elif kind < 0.9:
            out += noise.randbytes(noise.randint(1, 3000))
        else:
            out += bytes(noise.randint(1, 5000))
    return bytes(out[:size])


def some_stretches(seed: int, size: int, cuts: int) -> list[Stretch]:
    """What `cuts` cuts at random places leave; two stretches never touch."""
    noise = random.Random(seed)
    edges = sorted(noise.sample(range(size + 1), min(2 * cuts, size + 1) // 2 * 2))
    kept = []
    at = 0
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if at < start:
            kept.append((at, start))
        at = end
    return [*kept, (at, size)] if at < size else kept
