"""Ahead: an iterator that runs in a thread of its own, a bounded way before its reader.

Stages of the pipeline stay plain iterators; put behind one another with an Ahead between them, they
run side by side. What is read, and its order, never depends on timing.
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
"""Bytes that cross over at once: every batch costs a wake-up, and there are seven threads."""

_BATCHES = 2

WAKING_SECONDS = 0.25
"""A signal that comes right before its thread begins to wait for a lock is not noticed while that
waits (Python runs handlers between instructions, in the main thread), so no wait is longer."""


class Stopped(SquashproxyError):
    """Another part of the copy failed, so this one ends; never shown to a person."""


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Ahead(Generic[T]):
    """Reads `stream` ahead from now on, and closes it at the end, in its own thread.

    `weigh` gives an item's bytes. Items cross over in batches of 512 KiB or one item, of which at
    most two wait. An error of the stream comes out where it stood. Iterate once; `stop` ends the
    stream and its reader, whatever either waits for.
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
        """The next batch; wakes now and then, so that a signal is never overslept."""
        while True:
            try:
                return self._filled.get(timeout=WAKING_SECONDS)
            except Empty:
                continue

    @property
    def is_running(self) -> bool:
        """Whether there is still something to stop."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Read no further: the reader gets Stopped, the thread ends when its stream lets it.

        A thread that waits for a connection is left behind. It holds nothing else, and ends with
        the connection's time-out.
        """
        self._is_stopped = True
        self._credits.put(False)
        self._filled.put(_End(Stopped("stopped because another part of the copy failed")))

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, but not for longer."""
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
        """Wait for room, and give the batch to the reader; False where nobody reads any more."""
        if not self._credits.get() or self._is_stopped:
            return False
        self._filled.put(batch)
        return True
