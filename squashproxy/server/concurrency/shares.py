"""Threads in shares: one that is slow uses up its own, and keeps nobody from the others."""

from __future__ import annotations

import asyncio
import threading

from squashproxy.server.concurrency.threads import Threads


class SharedThreads:
    """At most `count` threads for each owner, such as an upstream; `of` may be called anywhere."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = threading.Lock()
        self._threads: dict[str, Threads] = {}

    def of(self, owner: str) -> Threads:
        """The threads of an owner."""
        with self._lock:
            if owner not in self._threads:
                self._threads[owner] = Threads(self._count, self._name)
            return self._threads[owner]

    async def close(self, seconds: float) -> bool:
        """Close all of them; see Threads.close."""
        with self._lock:
            every = list(self._threads.values())
        return all(await asyncio.gather(*(threads.close(seconds) for threads in every)))
