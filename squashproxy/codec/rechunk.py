"""Bytes cut evenly, however they arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK = 256 << 10
"""Encoders see the tar in pieces of this many bytes, however it arrived, since what some of them
write depends on the pieces."""


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
