"""A least speed for answers: a server that drips a few bytes a second never meets a time-out."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import RawIOBase

LEAST_SPEED = 1024.0
"""Bytes per second that an answer must bring; far below what any link carries."""


class TooSlow(TimeoutError):
    """An answer came more slowly than the least speed."""


class SpeedMeter:
    """Measures how fast the bytes of one answer come.

    Only the time spent waiting for bytes counts, so a slow reader is never taken for a slow server,
    and none of the time before the first byte: a registry may think as long as the time-out allows.
    `least` is in bytes per second, `window` in seconds; 0 for either means no limit.
    """

    def __init__(self, least: float, window: float) -> None:
        self._least = least
        self._window = window
        self._has_begun = False
        self._waited = 0.0
        self._received = 0

    def note(self, seconds: float, count: int) -> None:
        """Count `count` bytes that came after `seconds`. Raises TooSlow once in a window."""
        if not self._has_begun:
            self._has_begun = True
            return
        self._waited += seconds
        self._received += count
        if not 0 < self._window <= self._waited:
            return
        if self._received < self._least * self._waited:
            raise TooSlow(f"less than {self._least:g} bytes a second")
        self._waited = 0.0
        self._received = 0


class MeteredStream(RawIOBase):
    """A socket's raw stream whose speed is measured."""

    def __init__(
        self, raw: RawIOBase, meter: SpeedMeter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._raw = raw
        self._meter = meter
        self._clock = clock

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # typeshed's WriteableBuffer
        """Read into `buffer`; returns the number of bytes. Raises TooSlow."""
        begin = self._clock()
        count: int | None = self._raw.readinto(buffer)
        if count:
            self._meter.note(self._clock() - begin, count)
        return count

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close the socket's stream as well."""
        self._raw.close()
        super().close()
