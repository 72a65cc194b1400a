"""Cutting bytes into even pieces, however they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK = 256 << 10
"""Encoders get the tar in pieces of this many bytes, since the output of some depends on them.

Not streams.CHUNK, though it has the same value: another one would change the digests of results.
"""


def iter_even(chunks: Iterable[bytes | memoryview], size: int = BLOCK) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`, the last one shorter."""
    pieces: list[bytes | memoryview] = []
    held = 0
    for chunk in chunks:
        data = chunk
        while held + len(data) >= size:
            cut = size - held
            yield b"".join([*pieces, data[:cut]])
            pieces, held = [], 0
            data = data[cut:]
        if data:
            pieces.append(data)
            held += len(data)
    if pieces:
        yield b"".join(pieces)
