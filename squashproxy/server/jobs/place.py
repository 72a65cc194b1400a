"""The places where jobs run: the contract, and the threads of this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from squashproxy.cancellation import Cancellation
from squashproxy.progress import Observer
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.jobs.job import Job, SquashOrder
from squashproxy.server.store.base import SquashRecord

Squash = Callable[[SquashOrder, Observer, Cancellation], SquashRecord]
"""Does the work of a job; blocks, and is called in several threads."""


class WorkPlace(Protocol):
    """A place where jobs run. The event loop calls its methods."""

    is_here: bool
    """Whether its jobs run in this process, which then gives up those without progress."""

    def takes(self, order: SquashOrder) -> bool:
        """Whether such an order can be done here at all."""
        ...

    def has_room(self, job: Job) -> bool:
        """Whether the job may begin now; if not, it is asked again after the end of another."""
        ...

    def is_stuck(self) -> bool:
        """Whether it is known that no job gets done here soon."""
        ...

    def begin(self, job: Job) -> asyncio.Future[SquashRecord]:
        """Begin a job; its `started` is set when the work begins. The future has the result.

        Once the job's cancellation is set, the future ends soon, with Cancelled.
        """
        ...

    async def close(self, seconds: float) -> bool:
        """Begin no more, and wait at most `seconds` for what runs; whether all of it ended."""
        ...


class Here:
    """Threads of this process: at most `count` jobs, of one upstream at most one less.

    Where there is only one upstream (`owners`) it may use all places. Otherwise one that is slow
    would keep the images of the others from being squashed.
    """

    is_here = True

    def __init__(
        self,
        squash: Squash,
        count: int,
        owners: int = 1,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._squash = squash
        self._count = count
        self._share = count if owners == 1 else max(1, count - 1)
        self._clock = clock
        self._threads = Threads(count, "squashproxy-job")
        self._running: dict[Job, asyncio.Future[SquashRecord]] = {}

    def takes(self, order: SquashOrder) -> bool:  # noqa: ARG002 - the protocol's names
        """Always: this process has the credentials of all callers."""
        return True

    def has_room(self, job: Job) -> bool:
        """Whether a thread is free that the job's upstream may use."""
        host = job.key.repository.host
        own = sum(other.key.repository.host == host for other in self._running)
        return len(self._running) < self._count and own < self._share

    def is_stuck(self) -> bool:
        """Never: a thread that is busy will be free."""
        return False

    def begin(self, job: Job) -> asyncio.Future[SquashRecord]:
        """Begin a job in a thread."""
        running = self._running[job] = self._threads.begin(self._run, job)
        running.add_done_callback(lambda _: self._running.pop(job, None))
        return running

    async def close(self, seconds: float) -> bool:
        """Wait for the threads."""
        has_ended = await self._threads.close(seconds)
        if not has_ended:
            for running in list(self._running.values()):
                running.cancel()
        return has_ended

    def _run(self, job: Job) -> SquashRecord:
        job.progress.restart()
        job.started = self._clock()
        return self._squash(job.order, job.observer, job.cancellation)
