"""A job: what it is to do, how far it is, and what came of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Task
from squashproxy.server.auth.caller import Caller
from squashproxy.server.store.base import SquashKey, SquashRecord


class JobState(Enum):
    """Whether a job has begun."""

    WAITING = "waiting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class SquashOrder:
    """What a job is to do: squash the source of `key` with `options`, read as `caller`.

    `image` is the source's name for people.
    """

    key: SquashKey
    image: str
    caller: Caller
    options: CopyOptions


class Progress:
    """Bytes read, and bytes known to come; usable from several threads.

    Its times are those of `ticks`, which nobody sets: they tell how long something takes.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._ticks = ticks
        self.done = 0
        self.total = 0
        self.began = self.changed = ticks()
        """When the work began or was submitted, and when something was done last."""

    def advance(self, count: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self.done += count
            self.changed = self._ticks()

    def restart(self) -> None:
        """Begin from nothing, since the work does."""
        with self._lock:
            self.done = self.total = 0
            self.began = self.changed = self._ticks()

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


def _never() -> bool:
    return False


@dataclass(eq=False, slots=True)
class Job:
    """A job that waits or runs. Its result is a record or an error.

    `submitted` and `started` are unix seconds, for people. `waits_since` is when it was submitted
    by the monotonic clock, from which pulls count how long they waited.
    `warn` gets sentences for the operator, in any thread. `is_stuck` says whether it is known that
    nothing will come of the job soon, as when its place cannot be reached.
    """

    order: SquashOrder
    submitted: float
    waits_since: float
    progress: Progress
    result: asyncio.Future[SquashRecord]
    warn: Callable[[str], None]
    cancellation: Cancellation = field(default_factory=Cancellation)
    is_stuck: Callable[[], bool] = _never
    started: float | None = None
    waiters: int = 0
    is_idle: bool = False
    """Whether it was cancelled, since it made no progress."""
    is_own: bool = True
    """Whether this server began it; if not, another one counts it."""
    fetched: int = 0
    """Bytes that a worker elsewhere fetched for it."""

    @property
    def key(self) -> SquashKey:
        """What determines its result."""
        return self.order.key

    @property
    def image(self) -> str:
        """The source's name for people."""
        return self.order.image

    @property
    def observer(self) -> JobObserver:
        """The observer that adds to its progress."""
        return JobObserver(self.progress, self.warn)

    @property
    def state(self) -> JobState:
        """Whether it has begun."""
        return JobState.WAITING if self.started is None else JobState.RUNNING

    async def wait(self, seconds: float) -> Digest | None:
        """The digest of the squashed image, or None after `seconds`, or at once if it is stuck.

        Raises the job's error.
        """
        self.waiters += 1
        try:
            async with asyncio.timeout(0.0 if self.is_stuck() else max(0.0, seconds)):
                return (await asyncio.shield(self.result)).digest
        except TimeoutError:
            return None
        finally:
            self.waiters -= 1
