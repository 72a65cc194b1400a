"""Side tasks of a copy: a few threads that end together with it, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Event
from types import TracebackType
from typing import Self

from squashproxy.errors import SquashproxyError


class Stopped(SquashproxyError):
    """Another part of the copy failed, so this one ends; never shown to a person."""


class Crew:
    """Runs tasks beside the caller; on the way out waits for them, or stops them after an error.

    A task's error ends every `watched` stream, and is raised at the end of the block.
    """

    def __init__(self, size: int) -> None:
        self._stop = Event()
        self._pool = ThreadPoolExecutor(max(1, size), thread_name_prefix="squashproxy")
        self._tasks: list[Future[None]] = []

    def start(self, task: Callable[[], None]) -> None:
        """Run `task` soon."""
        self._tasks.append(self._pool.submit(self._run, task))

    def watched(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """`chunks`, ending with Stopped as soon as the crew stops."""
        for chunk in chunks:
            if self._stop.is_set():
                raise Stopped("stopped because another part of the copy failed")
            yield chunk

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
                wait(self._tasks, return_when=FIRST_EXCEPTION)
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
        if is_open:
            self._raise_first()

    def _run(self, task: Callable[[], None]) -> None:
        if self._stop.is_set():
            return
        try:
            task()
        except BaseException:
            self._stop.set()
            raise

    def _raise_first(self) -> None:
        """Raise the error that stopped the others, not those of the stopped.

        Every task has ended: the stopped may be done before the one that stopped them.
        """
        errors = [task.exception() for task in self._tasks if not task.cancelled()]
        for error in errors:
            if error is not None and not isinstance(error, Stopped):
                raise error
