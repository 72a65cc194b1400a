"""IdleWatch: gives up work that makes no progress, on a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from squashproxy.cancellation import Cancellation
from squashproxy.progress import Observer, Task

_LOOK_SECONDS = 5.0


class IdleWatch:
    """An observer that cancels the work it watches after `idle` seconds without progress.

    Everything is passed on to `observer`. It watches from `with` to the end of the block.
    """

    def __init__(
        self,
        observer: Observer,
        cancellation: Cancellation,
        idle: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observer = observer
        self._cancellation = cancellation
        self._idle = idle
        self._clock = clock
        self._moved = clock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="squashproxy-idle", daemon=True)
        self.has_given_up = False
        """Whether it cancelled the work."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def start(self, label: str, total: int | None) -> Task:
        """Begin a piece of work, which is progress, too."""
        self.note()
        return _WatchedTask(self._observer.start(label, total), self.note)

    def warn(self, sentence: str) -> None:
        """Pass a sentence on."""
        self._observer.warn(sentence)

    def note(self) -> None:
        """Note that something was done."""
        self._moved = self._clock()

    def check(self) -> None:
        """Give the work up if nothing was done for too long."""
        if self._clock() - self._moved > self._idle:
            self.has_given_up = True
            self._cancellation.cancel()

    def _watch(self) -> None:
        while not self._is_over.wait(min(_LOOK_SECONDS, self._idle)):
            self.check()


class _WatchedTask:
    def __init__(self, task: Task, note: Callable[[], None]) -> None:
        self._task = task
        self._note = note

    def advance(self, count: int) -> None:
        """Report progress."""
        self._note()
        self._task.advance(count)

    def finish(self, outcome: str = "") -> None:
        """Report the end."""
        self._note()
        self._task.finish(outcome)
