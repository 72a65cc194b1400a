"""The fleet as the place of jobs: workers do them, wherever they are.

1. A job is one in the whole fleet: servers of one store that want the same image wait for the same
   job, and it goes on when they are gone.
2. While the broker is away, jobs are kept here and submitted when it is back. Pulls do not wait
   for them meanwhile (`is_stuck`).
3. Orders that carry the login of a caller are not taken (fleet_order.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from squashproxy.cancellation import Cancelled
from squashproxy.errors import (
    Ambiguous,
    BadArchive,
    BadCompression,
    FormatError,
    LimitExceeded,
    NoSuchPlatform,
    SquashproxyError,
    Unsigned,
)
from squashproxy.fleet.errors import JobFailed, JobParked
from squashproxy.fleet.job import JobRequest, JobState
from squashproxy.fleet.progress import ProgressReplay
from squashproxy.server.jobs.fleet_order import fits_fleet, read_result, request_of
from squashproxy.server.jobs.job import Job, SquashOrder
from squashproxy.server.store.base import SquashRecord

if TYPE_CHECKING:
    from squashproxy.fleet.follow import JobListener
    from squashproxy.fleet.records import Look

_SAME: dict[str, type[SquashproxyError]] = {
    each.__name__: each
    for each in (Ambiguous, BadArchive, BadCompression, FormatError, LimitExceeded, NoSuchPlatform)
}
"""Errors of workers that mean here what they would if the job had run here."""


class Following(Protocol):
    """What submits jobs and follows them: fleet/follow.py."""

    def start(self) -> None:
        """Start the threads."""
        ...

    def follow(self, request: JobRequest, listener: JobListener) -> None:
        """Submit a job and follow it; returns at once."""
        ...

    def close(self, seconds: float) -> bool:
        """Follow no more, and wait at most `seconds` for the threads. Blocks."""
        ...


class FleetPlace:
    """Workers, which put what they make into the store at the place `store`.

    `is_stuck` says whether it is known that no worker does anything soon.
    """

    is_here = False

    def __init__(
        self,
        follower: Following,
        store: str,
        is_stuck: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._follower = follower
        self._store = store
        self._is_stuck = is_stuck
        self._clock = clock
        self._waiting: set[asyncio.Future[SquashRecord]] = set()

    def takes(self, order: SquashOrder) -> bool:
        """Whether the order says all that a worker has to know."""
        return fits_fleet(order)

    def has_room(self, job: Job) -> bool:  # noqa: ARG002 - the protocol's names
        """Always: the queue is in the broker."""
        return True

    def is_stuck(self) -> bool:
        """Whether the broker is away, or no worker runs."""
        return self._is_stuck()

    def begin(self, job: Job) -> asyncio.Future[SquashRecord]:
        """Submit a job, and follow it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[SquashRecord] = loop.create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        followed = _Followed(job, future, self._clock)

        def listen(look: Look, *, began: bool) -> None:
            try:
                loop.call_soon_threadsafe(followed.hear, look, began)
            except RuntimeError:  # the loop is closed, and nobody waits
                return

        self._follower.follow(request_of(job.order, self._store), listen)
        return future

    async def close(self, seconds: float) -> bool:
        """Follow no more. What was submitted goes on without this server."""
        for future in list(self._waiting):
            future.set_exception(Cancelled("the server stops; the fleet goes on with the job"))
        return await asyncio.to_thread(self._follower.close, seconds)


class _Followed:
    """A job that a worker does, as the event loop sees it."""

    def __init__(
        self, job: Job, future: asyncio.Future[SquashRecord], clock: Callable[[], float]
    ) -> None:
        self._job = job
        self._future = future
        self._clock = clock
        self._replay = ProgressReplay(job.observer)
        self._attempt = 0

    def hear(self, look: Look, began: bool) -> None:
        """Take over what the record says."""
        if self._future.done():
            return
        if look.state is JobState.DONE:
            self._end(look, began)
        elif look.state is JobState.FAILED:
            self._future.set_exception(failure_of(look))
        elif look.state is JobState.PARKED:
            self._future.set_exception(_parked(self._job, look))
        else:
            self._move(look)

    def _move(self, look: Look) -> None:
        job = self._job
        if look.state is not JobState.RUNNING:
            job.started = None
        elif job.started is None or look.attempt != self._attempt:
            job.progress.restart()
            job.started = self._clock()
            self._attempt = look.attempt
        self._replay.show(look.attempt, look.progress, look.warnings)

    def _end(self, look: Look, began: bool) -> None:
        try:
            result = read_result(look.result or {})
        except SquashproxyError as error:
            self._future.set_exception(error)
            return
        self._job.is_own = began
        self._job.fetched = result.fetched
        self._future.set_result(result.record)


def failure_of(look: Look) -> SquashproxyError:
    """The error with which a worker ended a job, as this process knows it."""
    error = look.error or {}
    fact, advice, kind = (str(error.get(name, "")) for name in ("fact", "advice", "kind"))
    if kind == Unsigned.__name__:
        return Unsigned(fact, advice=advice, reason="no key that is required has signed it")
    if kind in _SAME:
        return _SAME[kind](fact, advice=advice)
    return JobFailed(fact, advice=advice, kind=kind, is_temporary=bool(error.get("temporary")))


def _parked(job: Job, look: Look) -> JobParked:
    error = look.error or {}
    return JobParked(
        f"{job.image} is not squashed any more: {error.get('fact', 'its workers ended')}",
        advice=str(error.get("advice", "")),
    )
