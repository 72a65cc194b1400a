"""Sending a blob to the target while it is read for something else.

Whether the target is to have it may turn out only when it was read to its end. So the end is held
back until then: a blob that is refused never comes to be in the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Event

from squashproxy.pipeline.transfer.read_ahead import WAKING_SECONDS, Stopped
from squashproxy.streams import closed_after

_BATCH = 512 << 10
_BATCHES = 2


class Sending:
    """One blob between a reader and an uploader, each in its own thread.

    `iter_passed` is the reader's stream, `iter_sent` the uploader's: it raises Stopped unless
    `confirm` is called. `refuse` and `stop` end the uploader's stream; the reader's goes on.
    """

    def __init__(self) -> None:
        self._filled: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._credits: SimpleQueue[None] = SimpleQueue()
        for _ in range(_BATCHES):
            self._credits.put(None)
        self._is_taken = False
        self._is_over = Event()
        self._verdict = Event()
        self.is_confirmed = False
        self.is_refused = False

    def confirm(self) -> None:
        """Let the target have the blob."""
        self.is_confirmed = True
        self._verdict.set()

    def refuse(self) -> None:
        """Send no more: the target is not to have the blob."""
        self.is_refused = True
        self.stop()

    def stop(self) -> None:
        """Send no more. May be called from any thread, more than once."""
        self._is_over.set()
        self._verdict.set()
        self._filled.put(None)
        self._credits.put(None)

    def join(self, seconds: float) -> None:
        """Nothing to wait for: both streams run in threads of others."""

    @property
    def is_running(self) -> bool:
        """Whether the blob is still being sent."""
        return not self._is_over.is_set()

    def iter_passed(self, blob: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks of `blob`, which is closed at the end; they are sent as well."""
        is_whole = False
        batch: list[bytes] = []
        weight = 0
        try:
            with closed_after(blob) as chunks:
                for chunk in chunks:
                    batch.append(chunk)
                    weight += len(chunk)
                    if weight >= _BATCH:
                        self._hand_over(batch)
                        batch, weight = [], 0
                    yield chunk
            self._hand_over(batch)
            self._hand_over(None)
            is_whole = True
        finally:
            if not is_whole:
                self.stop()

    def iter_sent(self) -> Iterator[bytes]:
        """The chunks for the uploader. Raises Stopped where the blob is not to be sent.

        Called again, it goes on with the next batch.
        """
        while not self._is_taken:
            batch = self._wait()
            if self._is_over.is_set():
                raise Stopped("the blob is not sent")
            if batch is None:
                self._is_taken = True
                break
            try:
                yield from batch
            finally:
                self._credits.put(None)
        self._await_verdict()

    def skip(self) -> None:
        """Take what is left without sending it. Raises Stopped where the blob is not to be sent."""
        for _ in self.iter_sent():
            pass

    def _hand_over(self, batch: list[bytes] | None) -> None:
        if not self._is_over.is_set():
            self._credits.get()
            self._filled.put(batch)

    def _wait(self) -> list[bytes] | None:
        while True:
            try:
                return self._filled.get(timeout=WAKING_SECONDS)
            except Empty:
                continue

    def _await_verdict(self) -> None:
        while not self._verdict.wait(WAKING_SECONDS):
            pass
        if not self.is_confirmed or self._is_over.is_set():
            raise Stopped("the blob is not sent")
