"""Reading ahead: an iterator runs in its own thread, a bounded distance before its reader.

The stages of the pipeline are plain iterators. Connected by read-ahead they run in parallel. What
is read, and in which order, never depends on timing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from squashproxy.errors import SquashproxyError, StreamConsumed
from squashproxy.streams import closed_after

T = TypeVar("T")

_BATCH = 512 << 10
"""Bytes handed over at once. Every batch costs a wake-up, and there are seven threads."""

_BATCHES = 2

WAKING_SECONDS = 0.25
"""The longest wait, in seconds. Python runs signal handlers in the main thread between
instructions, so a signal that arrives just before a wait is noticed only after it.
"""


class Stopped(SquashproxyError):
    """Another part of the copy failed, so this one ends. Never shown to people."""


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class ReadAhead(Generic[T]):
    """Reads `stream` in its own thread from now on, and closes it there at the end.

    `weigh` gives an item's size in bytes. Items are handed over in batches of 512 KiB, or of one
    item, of which at most two wait. An error of the stream is raised where it occurred in the order
    of items. Iterate once. `stop` ends both the stream and its reader, whatever they wait for.
    """

    def __init__(self, stream: Iterator[T], weigh: Callable[[T], int], name: str) -> None:
        self._stream = stream
        self._weigh = weigh
        self._filled: SimpleQueue[list[T] | _End] = SimpleQueue()
        self._credits: SimpleQueue[bool] = SimpleQueue()
        for _ in range(_BATCHES):
            self._credits.put(True)
        self._is_stopped = False
        self._is_read = False
        self._thread = Thread(target=self._run, name=f"squashproxy {name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        if self._is_read:
            raise StreamConsumed(f"{self._thread.name}: what was read ahead was read already")
        self._is_read = True
        while True:
            batch = self._wait()
            if isinstance(batch, _End):
                if batch.error is not None:
                    raise batch.error
                return
            yield from batch
            self._credits.put(True)

    def _wait(self) -> list[T] | _End:
        """The next batch. Waits in short steps, so that signals are handled."""
        while True:
            try:
                return self._filled.get(timeout=WAKING_SECONDS)
            except Empty:
                continue

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop reading: the reader gets Stopped, and the thread ends as soon as its stream returns.

        A thread that waits for a connection is left behind. It holds nothing else, and ends with
        the connection's time-out.
        """
        self._is_stopped = True
        self._credits.put(False)
        self._filled.put(_End(Stopped("stopped because another part of the copy failed")))

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, up to a time limit."""
        self._thread.join(seconds)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._read()
        except BaseException as raised:  # noqa: BLE001 - raised again by the reader
            error = raised
        self._filled.put(_End(error))

    def _read(self) -> None:
        batch: list[T] = []
        weight = 0
        with closed_after(self._stream) as stream:
            try:
                for item in stream:
                    if self._is_stopped:
                        return
                    batch.append(item)
                    weight += self._weigh(item)
                    if weight >= _BATCH:
                        due, batch, weight = batch, [], 0
                        if not self._hand_over(due):
                            return
            finally:
                if batch:
                    self._hand_over(batch)

    def _hand_over(self, batch: list[T]) -> bool:
        """Wait for room and hand the batch over; False where the reader has stopped."""
        if not self._credits.get() or self._is_stopped:
            return False
        self._filled.put(batch)
        return True
