"""Threads for work that blocks, so that the event loop never does.

Whoever awaits a call may be cancelled while its thread runs, and nothing can interrupt a thread.
Three rules keep files and connections from being left open by that:

1. What a call opens is opened with `open`: if nobody takes the result, it is closed.
2. What must happen, such as closing a file, is started with `start`: it runs even if the threads
   are closed before its turn.
3. `close` waits until the running calls end, so what they use may be closed after it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar


class Closable(Protocol):
    """Anything that holds a file or a connection until it is closed."""

    def close(self) -> None:
        """Let go of it."""
        ...


T = TypeVar("T")
P = ParamSpec("P")
C = TypeVar("C", bound=Closable)

_LOG = logging.getLogger("squashproxy.server")
_END = object()


class Threads:
    """At most `count` threads for one purpose; further calls wait for their turn.

    Methods are for the event loop, except `start`, which any thread may call.
    """

    def __init__(self, count: int, name: str) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._droppable: set[Future[Any]] = set()
        self._unfinished: set[Future[Any]] = set()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that blocks."""
        return await self.begin(function, *args, **kwargs)

    def begin(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """The future result of a call that blocks."""
        return asyncio.wrap_future(self._submit(partial(function, *args, **kwargs)))

    async def open(self, function: Callable[P, C], *args: P.args, **kwargs: P.kwargs) -> C:
        """What a call opens; it is closed if the caller is cancelled before it gets it."""
        opening = self._submit(partial(function, *args, **kwargs))
        try:
            return await asyncio.wrap_future(opening)
        except BaseException:
            opening.add_done_callback(self._close_result)
            raise

    def start(self, function: Callable[[], object]) -> None:
        """Run a call that must happen, without waiting for it."""
        try:
            future = self._pool.submit(function)
        except RuntimeError:  # closed: then here and now
            function()
        else:
            self._note(future)

    async def iterate(self, stream: Iterator[T]) -> AsyncGenerator[T, None]:
        """The items of an iterator that blocks, each fetched when it is wanted.

        The iterator is closed at the end, after the fetch that may still run.
        """
        fetching: Future[T] | None = None
        try:
            while True:
                fetching = self._submit(partial(next, stream, _END))
                item = await asyncio.wrap_future(fetching)
                if item is _END:
                    return
                yield item
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                if fetching is None:
                    self.start(close)
                else:
                    fetching.add_done_callback(lambda _: self.start(close))

    async def close(self, seconds: float) -> bool:
        """Take no more calls, drop those that wait, and let those that run end.

        Waits at most `seconds`. Returns whether all ended; a call that did not goes on, and lets go
        of what it holds when it ends.
        """
        self._pool.shutdown(wait=False)
        with self._lock:
            droppable, unfinished = list(self._droppable), list(self._unfinished)
        for future in droppable:
            future.cancel()
        if unfinished:
            await asyncio.wait(map(_observed, unfinished), timeout=max(0.0, seconds))
        late = sum(not future.done() for future in unfinished)
        if late:
            _LOG.warning("%s: %d calls did not end in %g s", self._name, late, seconds)
        else:
            self._pool.shutdown(wait=True)  # threads that have nothing left to do
        return not late

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        future = self._pool.submit(function)
        with self._lock:
            self._droppable.add(future)
        self._note(future)
        return future

    def _note(self, future: Future[Any]) -> None:
        with self._lock:
            self._unfinished.add(future)
        future.add_done_callback(self._forget)

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._unfinished.discard(future)
            self._droppable.discard(future)

    def _close_result(self, future: Future[C]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.start(future.result().close)


def _observed(future: Future[Any]) -> asyncio.Future[None]:
    """Done when `future` is; its error is for those who wait for its result."""
    loop = asyncio.get_running_loop()
    observed = loop.create_future()

    def note() -> None:
        if not observed.done():
            observed.set_result(None)

    def tell(_: Future[Any]) -> None:
        try:
            loop.call_soon_threadsafe(note)
        except RuntimeError:  # the loop is closed, and nobody waits
            return

    future.add_done_callback(tell)
    return observed
