"""Streams: the size of their chunks, closing them with the work on them, and making them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Generic, TypeVar

CHUNK = 256 << 10
"""The most bytes in a chunk of a stream.

The bytes of results do not depend on it, except for one estimate: the level at which zstd layers
are compressed again (codec/zstd_level.py).
"""

T = TypeVar("T")
S = TypeVar("S", bound=Sized)


@contextmanager
def closed_after(stream: Iterator[T]) -> Iterator[Iterator[T]]:
    """Close `stream` on the way out, where it can be closed.

    The traceback of an error keeps half-read streams alive, and with them their connections.
    """
    try:
        yield stream
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def counted(stream: Iterator[S], count: Callable[[int], None]) -> Iterator[S]:
    """Yield from `stream`, and tell `count` the length of each chunk. The stream is closed."""
    with closed_after(stream) as chunks:
        for chunk in chunks:
            count(len(chunk))
            yield chunk


class Repeatable(Generic[T]):
    """A stream that can be made again, the same from its start.

    Each iteration calls `make`. `on_again` is told why, as a part of a sentence, before it is made
    once more. Streams that were begun must be closed by then.
    """

    def __init__(
        self, make: Callable[[], Iterator[T]], on_again: Callable[[str], None] = lambda _: None
    ) -> None:
        self._make = make
        self._on_again = on_again

    def __iter__(self) -> Iterator[T]:
        return self._make()

    def begin_again(self, why: str) -> None:
        """Say that the stream is about to be made once more."""
        self._on_again(why)
