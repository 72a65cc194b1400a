"""Streams that run in threads of their own, and are stopped together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from time import monotonic
from typing import Protocol, TypeVar

from squashproxy.pipeline.transfer.read_ahead import ReadAhead, Stopped

T = TypeVar("T")
S = TypeVar("S", bound="Stream")

_PATIENCE = 1.0
"""Seconds that stopped streams have to end."""


class Stream(Protocol):
    """Something that waits in threads, and that can be told to stop waiting."""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        ...

    def stop(self) -> None:
        """End as soon as possible, whatever it waits for."""
        ...

    def join(self, seconds: float) -> None:
        """Wait for the end, up to a time limit."""
        ...


class StreamGroup:
    """Streams that end together. A group is a stream itself, so it can be a part of another one."""

    def __init__(self) -> None:
        self._streams: list[Stream] = []
        self._is_stopped = False
        self._lock = Lock()

    @property
    def is_stopped(self) -> bool:
        """Whether the group was stopped. May be asked from any thread."""
        return self._is_stopped

    @property
    def is_running(self) -> bool:
        """Whether any stream may still run, or begin."""
        return not self._is_stopped or any(stream.is_running for stream in self._streams)

    def read_ahead(self, stream: Iterator[T], weigh: Callable[[T], int], name: str) -> ReadAhead[T]:
        """Read `stream` in a thread of its own from now on. Raises Stopped after the end."""
        return self.add(lambda: ReadAhead(stream, weigh, name))

    def add(self, make: Callable[[], S]) -> S:
        """Make a stream that is stopped when the others are. Raises Stopped after the end."""
        with self._lock:
            if self._is_stopped:
                raise Stopped("stopped because another part of the copy failed")
            stream = make()
            self._streams = [known for known in self._streams if known.is_running]
            self._streams.append(stream)
            return stream

    def stop(self) -> None:
        """Stop all streams. May be called more than once."""
        with self._lock:
            self._is_stopped = True
            for stream in self._streams:
                stream.stop()

    def join(self, seconds: float = _PATIENCE) -> None:
        """Wait for the streams to end, up to a time limit."""
        deadline = monotonic() + seconds
        for stream in self._streams:
            stream.join(max(0.0, deadline - monotonic()))
