"""Threads for what blocks, so that the event loop never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

_END = object()


class Threads:
    """A bounded number of threads of one purpose; what finds none free waits for its turn."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a function that blocks."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def start(self, function: Callable[[], None]) -> None:
        """Let it run; nobody waits."""
        self._pool.submit(function)

    async def iterate(self, stream: Iterator[T]) -> AsyncIterator[T]:
        """The items of an iterator that blocks, each fetched when it is wanted."""
        try:
            while True:
                item = await self.run(next, stream, _END)
                if item is _END:
                    return
                yield item  # type: ignore[misc]  # it is no _END
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                with suppress(RuntimeError):
                    self.start(close)

    def close(self) -> None:
        """Take nothing more; what runs is left to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
