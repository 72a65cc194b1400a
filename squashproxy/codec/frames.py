"""Frames: gzip members and zstd frames, which follow one another and have an end each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from squashproxy.errors import BadCompression


class Frame(Protocol):
    """A decompressor for one member or frame."""

    def inflate(self, data: bytes) -> tuple[bytes, bytes]:
        """At most CHUNK bytes of content, and the part of `data` that was not consumed.

        Raises BadCompression.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether the frame's end, with its checksum, was reached."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether there is more content without further data."""
        ...


class Gap:
    """What may stand between frames, and behind the last one.

    Bytes of `padding` are skipped. With a `magic`, what follows a frame and does not begin with it
    is rubbish: it is left out, with all that comes after it.
    """

    def __init__(self, padding: bytes = b"", magic: bytes = b"") -> None:
        self._padding = padding
        self._magic = magic
        self._is_first = True
        self._doubtful = b""
        self._rubbish = 0

    @property
    def rubbish(self) -> int:
        """The bytes that were left out as rubbish; only at the end of the blob."""
        return self._rubbish + len(self._doubtful)

    def skip(self, data: bytes) -> bytes:
        """Where the next frame begins in `data`: that and all behind it, or nothing."""
        if self._rubbish:
            self._rubbish += len(data)
            return b""
        data = (self._doubtful + data).lstrip(self._padding)
        self._doubtful = b""
        if not data or self._is_first or data.startswith(self._magic):
            self._is_first &= not data
            return data
        if self._magic.startswith(data):
            self._doubtful = data
        else:
            self._rubbish = len(data)
        return b""


def iter_frames(
    blob: Iterable[bytes], open_frame: Callable[[], Frame], where: str, gap: Gap
) -> Generator[bytes, None, None]:
    """The content of all frames in `blob`, with what `gap` allows between and behind them.

    Raises BadCompression where the last frame has no end.
    """
    frame: Frame | None = None
    for chunk in blob:
        data = chunk
        while data or (frame is not None and frame.has_more):
            if frame is None:
                data = gap.skip(data)
                if not data:
                    break
                frame = open_frame()
            content, data = frame.inflate(data)
            if content:
                yield content
            if frame.ended:
                frame = None
    if frame is not None:
        yield from _iter_rest(frame, where)


def _iter_rest(frame: Frame, where: str) -> Generator[bytes, None, None]:
    """The content that the frame still holds when the data has ended."""
    while not frame.ended:
        content, _ = frame.inflate(b"")
        if content:
            yield content
        elif not frame.ended:
            raise cut_short(where)


def cut_short(where: str) -> BadCompression:
    """The error for a stream without an end."""
    return BadCompression(
        f"{where} is cut short: its compressed stream has no end",
        advice="build or push the image again",
    )


def damaged(where: str, reason: object) -> BadCompression:
    """The error for a stream that cannot be inflated."""
    return BadCompression(
        f"{where} is damaged: its compressed stream does not inflate ({reason})",
        advice="build or push the image again",
    )
