"""The threads of a copy. They end when the copy ends, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Protocol, Self, TypeVar

from squashproxy.pipeline.transfer.read_ahead import WAKING_SECONDS, ReadAhead, Stopped

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


class CopyThreads:
    """Runs tasks and streams in threads, and waits for them at the end of its block.

    An error of a task, or of the block itself, stops all the others, and is raised once at the end
    of the block.
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(max(1, size), thread_name_prefix="squashproxy")
        self._tasks: list[Future[None]] = []
        self._streams: list[Stream] = []
        self._is_stopped = False
        self._lock = Lock()

    @property
    def is_stopped(self) -> bool:
        """Whether the copy is over, or a part of it failed. May be asked from any thread."""
        return self._is_stopped

    def start(self, task: Callable[[], None]) -> None:
        """Run `task` in a thread."""
        self._tasks.append(self._pool.submit(self._run, task))

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        is_open = error is None or isinstance(error, Stopped)
        try:
            if is_open:
                self._await_tasks()
        finally:
            self._stop()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._join()
        if is_open:
            self._raise_first()

    def _await_tasks(self) -> None:
        """Wait until all tasks have ended or one failed. Waits in short steps, so signals are
        handled.
        """
        while True:
            done, running = wait(self._tasks, WAKING_SECONDS, FIRST_EXCEPTION)
            if not running or any(task.exception() for task in done):
                return

    def _run(self, task: Callable[[], None]) -> None:
        if self._is_stopped:
            return
        try:
            task()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            for stream in self._streams:
                stream.stop()

    def _join(self) -> None:
        deadline = monotonic() + _PATIENCE
        for stream in self._streams:
            stream.join(max(0.0, deadline - monotonic()))

    def _raise_first(self) -> None:
        """Raise the error that stopped the others, not the Stopped errors it caused.

        Every task has ended by now; a stopped one may end before the one that failed.
        """
        errors = [task.exception() for task in self._tasks if not task.cancelled()]
        for error in errors:
            if error is not None and not isinstance(error, Stopped):
                raise error
