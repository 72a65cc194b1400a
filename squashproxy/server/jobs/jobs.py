"""Squashing jobs: which ones there are, and what became of them.

1. There is one job per key (source and options); further requests for the key join it.
2. A job goes on even if all its waiters leave.
3. A failure is remembered: for a day if the same source and options must fail again, else for
   `serve.negative_ttl` seconds. Until then the key has no new job.
4. At most `limits.running` jobs and `limits.jobs_waiting` more are taken; a further one is refused.
5. A job begins as soon as its place has room for it (place.py).
6. A job of this process that makes no progress for `limits.job_idle` is cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from squashproxy.cancellation import Cancelled
from squashproxy.errors import (
    Ambiguous,
    FormatError,
    LimitExceeded,
    NoSuchPlatform,
    SquashproxyError,
    remembered,
)
from squashproxy.lru import LruCache
from squashproxy.server.jobs.job import Job, Progress, SquashOrder
from squashproxy.server.jobs.place import WorkPlace
from squashproxy.server.store.base import SquashKey, SquashRecord

_MOST_FAILURES = 10_000
_FOR_GOOD = 24 * 3600.0
_LASTING = (FormatError, LimitExceeded, Ambiguous, NoSuchPlatform)
"""Errors that the same source and options meet again; remembered for _FOR_GOOD seconds."""


class ShuttingDown(SquashproxyError):
    """The server stops, and its jobs with it; the next pull begins them anew."""


class TooManyJobs(SquashproxyError):
    """Too many jobs wait already for another one."""


class JobBroke(SquashproxyError):
    """A bug in a job; pulls go on with the original."""


class JobIdle(SquashproxyError):
    """A job made no progress for so long that it was given up."""


JobListener = Callable[[Job, SquashRecord | None, SquashproxyError | None], None]


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How many jobs run and wait; `negative_ttl` and `idle` in seconds, see the rules above."""

    running: int
    waiting: int
    negative_ttl: float
    idle: float = 600.0


class Jobs:
    """Has jobs run within limits, each in the first of `places` that takes its order.

    `on_end` is called, in the event loop, for every job that ended.
    """

    def __init__(
        self,
        limits: JobLimits,
        places: Sequence[WorkPlace],
        on_end: JobListener,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._places = places
        self._on_end = on_end
        self._clock = clock
        self._ticks = ticks
        self._jobs: dict[SquashKey, Job] = {}
        self._queue: dict[SquashKey, Job] = {}
        self._running: dict[SquashKey, asyncio.Future[SquashRecord]] = {}
        self._is_closing = False
        self._failures: LruCache[SquashKey, tuple[float, SquashproxyError]] = LruCache(
            _MOST_FAILURES
        )

    @property
    def current(self) -> list[Job]:
        """The jobs that wait or run, the oldest first."""
        return list(self._jobs.values())

    def join(self, order: SquashOrder, warn: Callable[[str], None]) -> Job:
        """The job for the order's key, begun unless there is one; `warn` as in Job.

        Raises TooManyJobs, or the error with which the key failed a short time ago.
        """
        found = self._jobs.get(order.key)
        if found is not None:
            return found
        self._check_failures(order.key)
        if len(self._jobs) >= self._limits.running + self._limits.waiting:
            raise TooManyJobs(
                f"{len(self._jobs)} images wait to be squashed, so this one is handed out as it is"
            )
        result: asyncio.Future[SquashRecord] = asyncio.get_running_loop().create_future()
        progress = Progress(self._ticks)
        job = Job(order, self._clock(), progress.began, progress, result, warn)
        job.is_stuck = self._place_of(job).is_stuck
        self._jobs[job.key] = self._queue[job.key] = job
        self._begin_next()
        return job

    def end_idle(self) -> None:
        """Cancel the jobs that have made no progress for too long."""
        for key in self._running:
            job = self._jobs[key]
            has_begun = job.started is not None and self._place_of(job).is_here
            if has_begun and self._ticks() - job.progress.changed > self._limits.idle:
                job.is_idle = True
                job.cancellation.cancel()

    def cancel(self) -> None:
        """Cancel all jobs; those that wait never start. New ones are not begun any more."""
        self._is_closing = True
        for job in self.current:
            job.cancellation.cancel()
        for job in list(self._queue.values()):
            self._fail(job, Cancelled("the server stops"))

    async def close(self, seconds: float) -> None:
        """Cancel all jobs and wait at most `seconds` for the places where they run.

        What a running job wrote but did not publish is left to the store. All of them end with
        ShuttingDown.
        """
        self.cancel()
        await asyncio.gather(*(place.close(seconds) for place in self._places))
        await asyncio.gather(*(job.result for job in self.current), return_exceptions=True)

    def _place_of(self, job: Job) -> WorkPlace:
        return next(place for place in self._places if place.takes(job.order))

    def _begin_next(self) -> None:
        """Begin the jobs, the oldest first, for which there is room."""
        for job in list(self._queue.values()):
            place = self._place_of(job)
            if place.has_room(job):
                self._begin(job, place)

    def _begin(self, job: Job, place: WorkPlace) -> None:
        del self._queue[job.key]
        running = self._running[job.key] = place.begin(job)
        running.add_done_callback(lambda done: self._end(job, done))

    def _check_failures(self, key: SquashKey) -> None:
        until, error = self._failures.find(key) or (0.0, None)
        if error is not None and until > self._ticks():
            raise remembered(error)

    def _end(self, job: Job, done: asyncio.Future[SquashRecord]) -> None:
        self._running.pop(job.key, None)
        error = Cancelled("the server stops") if done.cancelled() else done.exception()
        if error is None:
            self._jobs.pop(job.key, None)
            job.result.set_result(done.result())
            self._on_end(job, done.result(), None)
        else:
            self._fail(job, error)
        if not self._is_closing:
            self._begin_next()

    def _fail(self, job: Job, error: BaseException) -> None:
        self._jobs.pop(job.key, None)
        self._queue.pop(job.key, None)
        failure = _as_failure(error, job, self._limits.idle)
        if not isinstance(failure, ShuttingDown):
            seconds = _FOR_GOOD if isinstance(failure, _LASTING) else self._limits.negative_ttl
            self._failures[job.key] = (self._ticks() + seconds, remembered(failure))
        job.result.set_exception(failure)
        job.result.exception()  # nobody may be waiting, and that is fine
        self._on_end(job, None, failure)


def idle_error(image: str, idle: float) -> JobIdle:
    """The error of a job that made no progress for `idle` seconds."""
    return JobIdle(
        f"{image} was given up, since nothing of it came for {idle:g} s",
        advice="see how fast its registry is, or raise limits.job_idle",
    )


def _as_failure(error: BaseException, job: Job, idle: float) -> SquashproxyError:
    if isinstance(error, Cancelled):
        if job.is_idle:
            return idle_error(job.image, idle)
        return ShuttingDown("the server is shutting down", advice="pull again when it is back")
    if isinstance(error, SquashproxyError):
        return error
    broke = JobBroke(f"{job.image} could not be squashed: {type(error).__name__}: {error}")
    broke.__cause__ = error
    return broke
