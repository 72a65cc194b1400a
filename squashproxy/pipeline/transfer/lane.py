"""A lane: tasks with results that run beside their caller, a few at once, in the order given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import TypeVar

from squashproxy.pipeline.transfer.read_ahead import WAKING_SECONDS, Stopped
from squashproxy.pipeline.transfer.threads import CopyThreads

T = TypeVar("T")


class Lane:
    """Runs tasks in `threads`, at most `width` at once; the others wait and hold no thread."""

    def __init__(self, threads: CopyThreads, width: int) -> None:
        self._threads = threads
        self._free = width
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = Lock()

    def begin(self, task: Callable[[], T]) -> Future[T]:
        """Run `task` as soon as there is room. An error of it stops the copy."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append(partial(self._run, task, future))
        self._start_next()
        return future

    def await_result(self, future: Future[T]) -> T:
        """The result of a task. Waits in short steps, so that signals are handled.

        Raises what the task raises, and Stopped where the copy ends before it.
        """
        while True:
            try:
                return future.result(WAKING_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
                if self._threads.is_stopped:
                    raise Stopped("stopped because another part of the copy failed") from None

    def _start_next(self) -> None:
        with self._lock:
            if not self._free or not self._waiting:
                return
            self._free -= 1
            run = self._waiting.popleft()
        self._threads.start(run)

    def _run(self, task: Callable[[], T], future: Future[T]) -> None:
        try:
            result = task()
        except BaseException as error:
            future.set_exception(error)
            raise
        future.set_result(result)
        with self._lock:
            self._free += 1
        self._start_next()
