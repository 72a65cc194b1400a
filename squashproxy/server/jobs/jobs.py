"""Squashing jobs, in threads.

1. There is one job per key (source and options); further requests for the key join it.
2. A job goes on even if all its waiters leave.
3. A failure is remembered: for a day if the same source and options must fail again, else for
   `serve.negative_ttl` seconds. Until then the key has no new job.
4. At most `engine.jobs` run and `limits.jobs_waiting` wait; a further one is refused.
5. Where there are several upstreams and several jobs may run, images of one upstream never take all
   places, so that a slow one does not keep those of the others from being squashed.
6. A job that makes no progress for `limits.job_idle` is cancelled.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.digest import Digest
from squashproxy.errors import (
    Ambiguous,
    FormatError,
    LimitExceeded,
    NoSuchPlatform,
    SquashproxyError,
    remembered,
)
from squashproxy.progress import Task
from squashproxy.server.concurrency.lru import LruCache
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.store.base import SquashKey, SquashRecord

_MOST_FAILURES = 10_000
_FOR_GOOD = 24 * 3600.0
_LASTING = (FormatError, LimitExceeded, Ambiguous, NoSuchPlatform)
"""Errors that the same source and options meet again; remembered for _FOR_GOOD seconds."""

Work = Callable[["JobObserver", Cancellation], SquashRecord]


class JobState(Enum):
    """Whether a job has begun."""

    WAITING = "waiting"
    RUNNING = "running"


class ShuttingDown(SquashproxyError):
    """The server stops, and its jobs with it; the next pull begins them anew."""


class TooManyJobs(SquashproxyError):
    """Too many jobs wait already for another one."""


class Progress:
    """Bytes read, and bytes known to come; usable from several threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self.done = 0
        self.total = 0
        self.changed = clock()
        """When something was done last, in unix seconds."""

    def advance(self, count: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self.done += count
            self.changed = self._clock()

    def expect(self, count: int) -> None:
        """Count bytes that are to be read."""
        with self._lock:
            self.total += count


class JobObserver:
    """The observer of a copy that adds up its progress."""

    def __init__(self, progress: Progress, warn: Callable[[str], None]) -> None:
        self._progress = progress
        self._warn = warn

    def start(self, label: str, total: int | None) -> Task:  # noqa: ARG002 - the protocol's names
        """Begin a piece of work of `total` bytes."""
        self._progress.expect(total or 0)
        return _JobTask(self._progress)

    def warn(self, sentence: str) -> None:
        """Pass a sentence on to the operator."""
        self._warn(sentence)


class _JobTask:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def advance(self, count: int) -> None:
        """Count bytes that were read."""
        self._progress.advance(count)

    def finish(self, outcome: str = "") -> None:
        """Nothing: the end of the job is reported by the job itself."""


@dataclass(eq=False, slots=True)
class Job:
    """A job that waits or runs; times are unix seconds. Its result is a record or an error."""

    key: SquashKey
    image: str
    submitted: float
    progress: Progress
    result: asyncio.Future[SquashRecord]
    work: Callable[[], SquashRecord]
    cancellation: Cancellation = field(default_factory=Cancellation)
    started: float | None = None
    waiters: int = 0
    is_idle: bool = False
    """Whether it was cancelled, since it made no progress."""

    @property
    def state(self) -> JobState:
        """Whether it has begun."""
        return JobState.WAITING if self.started is None else JobState.RUNNING

    async def wait(self, seconds: float) -> Digest | None:
        """The digest of the squashed image, or None after `seconds`. Raises the job's error."""
        self.waiters += 1
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return (await asyncio.shield(self.result)).digest
        except TimeoutError:
            return None
        finally:
            self.waiters -= 1


JobListener = Callable[[Job, SquashRecord | None, SquashproxyError | None], None]


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How many jobs run and wait; `negative_ttl` and `idle` in seconds, see the rules above.

    `owners` is the number of upstreams.
    """

    running: int
    waiting: int
    negative_ttl: float
    idle: float = 600.0
    owners: int = 1

    @property
    def share(self) -> int:
        """How many jobs of one upstream may run."""
        return self.running if self.owners == 1 else max(1, self.running - 1)


class Jobs:
    """Runs jobs within limits. `on_end` is called, in the event loop, for every job that ended."""

    def __init__(
        self, limits: JobLimits, on_end: JobListener, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._threads = Threads(limits.running, "squashproxy-job")
        self._limits = limits
        self._on_end = on_end
        self._clock = clock
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

    def join(self, key: SquashKey, image: str, work: Work, warn: Callable[[str], None]) -> Job:
        """The job for a key, begun unless there is one; `image` is its name for people.

        Raises TooManyJobs, or the error with which the key failed a short time ago.
        """
        found = self._jobs.get(key)
        if found is not None:
            return found
        self._check_failures(key)
        if len(self._jobs) >= self._limits.running + self._limits.waiting:
            raise TooManyJobs(
                f"{len(self._jobs)} images wait to be squashed, so this one is handed out as it is"
            )
        result: asyncio.Future[SquashRecord] = asyncio.get_running_loop().create_future()
        progress, cancellation = Progress(self._clock), Cancellation()
        observer = JobObserver(progress, warn)
        job = Job(
            *(key, image, self._clock(), progress, result),
            lambda: work(observer, cancellation),
            cancellation,
        )
        self._jobs[key] = self._queue[key] = job
        self._begin_next()
        return job

    def end_idle(self) -> None:
        """Cancel the jobs that have made no progress for too long."""
        for key in self._running:
            job = self._jobs[key]
            since = max(job.started or self._clock(), job.progress.changed)
            if self._clock() - since > self._limits.idle:
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
        """Cancel all jobs and wait at most `seconds` for their threads.

        What a running job wrote but did not publish is left to the store. All of them end with
        ShuttingDown.
        """
        self.cancel()
        if not await self._threads.close(seconds):
            for running in self._running.values():
                running.cancel()
        await asyncio.gather(*(job.result for job in self.current), return_exceptions=True)

    def _begin_next(self) -> None:
        """Begin the jobs, the oldest first, for which there is a place."""
        for job in list(self._queue.values()):
            if len(self._running) >= self._limits.running:
                return
            host = job.key.repository.host
            own = sum(key.repository.host == host for key in self._running)
            if own < self._limits.share:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        del self._queue[job.key]
        running = self._threads.begin(self._run, job)
        self._running[job.key] = running
        running.add_done_callback(lambda done: self._end(job, done))

    def _check_failures(self, key: SquashKey) -> None:
        until, error = self._failures.find(key) or (0.0, None)
        if error is not None and until > self._clock():
            raise remembered(error)

    def _run(self, job: Job) -> SquashRecord:
        job.started = self._clock()
        return job.work()

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
            self._failures[job.key] = (self._clock() + seconds, remembered(failure))
        job.result.set_exception(failure)
        job.result.exception()  # nobody may be waiting, and that is fine
        self._on_end(job, None, failure)


class JobBroke(SquashproxyError):
    """A bug in a job; pulls go on with the original."""


class JobIdle(SquashproxyError):
    """A job made no progress for so long that it was given up."""


def _as_failure(error: BaseException, job: Job, idle: float) -> SquashproxyError:
    if isinstance(error, Cancelled):
        if job.is_idle:
            return JobIdle(
                f"{job.image} was given up, since nothing of it came for {idle:g} s",
                advice="see how fast its registry is, or raise limits.job_idle",
            )
        return ShuttingDown("the server is shutting down", advice="pull again when it is back")
    if isinstance(error, SquashproxyError):
        return error
    broke = JobBroke(f"{job.image} could not be squashed: {type(error).__name__}: {error}")
    broke.__cause__ = error
    return broke
