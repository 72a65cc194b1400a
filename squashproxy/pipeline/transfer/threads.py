"""The threads of a copy. They end when the copy ends, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from squashproxy.pipeline.transfer.read_ahead import WAKING_SECONDS, Stopped
from squashproxy.pipeline.transfer.stream_group import StreamGroup


class CopyThreads(StreamGroup):
    """Runs tasks and streams in threads, and waits for them at the end of its block.

    An error of a task, or of the block itself, stops all the others, and is raised once at the end
    of the block. `is_stopped` tells that the copy is over, or that a part of it failed.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(max(1, size), thread_name_prefix="squashproxy")
        self._tasks: list[Future[None]] = []

    def start(self, task: Callable[[], None]) -> None:
        """Run `task` in a thread."""
        self._tasks.append(self._pool.submit(self._run, task))

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
            self.stop()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self.join()
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
            self.stop()
            raise

    def _raise_first(self) -> None:
        """Raise the error that stopped the others, not the Stopped errors it caused.

        Every task has ended by now; a stopped one may end before the one that failed.
        """
        errors = [task.exception() for task in self._tasks if not task.cancelled()]
        for error in errors:
            if error is not None and not isinstance(error, Stopped):
                raise error
