"""Following jobs: two threads for all of a process, however many it waits for."""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import BrokerAway, BrokerRefused, FleetError
from squashproxy.fleet.job import JobRequest, JobState
from squashproxy.fleet.listening import Listening
from squashproxy.fleet.messages import Messenger
from squashproxy.fleet.records import Look, Records, Submitted

_LOOK = 5.0
"""Seconds after which a record is looked at without news of it."""
_PAUSE = 1.0
"""Seconds until the broker is asked again after it was away."""
_TURN = 0.5
_OVER = (JobState.DONE, JobState.FAILED, JobState.PARKED)


class JobListener(Protocol):
    """Hears of a job, in a thread of the follower; it must not block."""

    def __call__(self, look: Look, *, began: bool) -> None:
        """The job changed; after it is done, failed or parked no more is heard of it.

        `began` says whether this process was the one that began it.
        """
        ...


@dataclass(eq=False, slots=True)
class _Followed:
    request: JobRequest
    listener: JobListener
    due: float
    is_submitted: bool = False
    began: bool = False


@dataclass(slots=True)
class _Timetable:
    """Jobs by the time at which they are due; entries that were superseded are skipped."""

    entries: list[tuple[float, int, _Followed]] = field(default_factory=list)
    count: int = 0

    def put(self, job: _Followed, due: float) -> None:
        job.due = due
        self.count += 1
        heapq.heappush(self.entries, (due, self.count, job))

    def first(self) -> tuple[float, _Followed] | None:
        while self.entries:
            due, _, job = self.entries[0]
            if due == job.due:
                return due, job
            heapq.heappop(self.entries)
        return None


class Follower:
    """Submits jobs and follows each until it is over, also while the broker comes and goes.

    A job that the broker lost is submitted again. Whoever follows does not have to: a job goes on
    when its followers are gone. `on_away` is called, in a thread, whenever the broker could not be
    used.
    """

    def __init__(
        self,
        broker: Broker,
        records: Records,
        messenger: Messenger,
        on_away: Callable[[FleetError], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._records = records
        self._messenger = messenger
        self._on_away = on_away
        self._clock = clock
        self._channel = broker.key("events", secrets.token_hex(8))
        self._changed = threading.Condition()
        self._jobs: dict[str, _Followed] = {}
        self._timetable = _Timetable()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._work, "fleet-follow"), (self._listen, "fleet-news"))
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def follow(self, request: JobRequest, listener: JobListener) -> None:
        """Submit a job and follow it; returns at once. One listener for each job."""
        with self._changed:
            job = self._jobs[request.id] = _Followed(request, listener, 0.0)
            self._timetable.put(job, self._clock())
            self._changed.notify()

    def stop(self) -> None:
        """Follow no more. Jobs that were submitted go on; nobody is told of them."""
        self._ended.set()
        with self._changed:
            self._jobs.clear()
            self._changed.notify()

    def close(self, seconds: float) -> bool:
        """Stop, and wait at most `seconds` for the threads; whether they ended. Blocks."""
        self.stop()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while not self._ended.is_set():
            job = self._next()
            if job is None:
                continue
            try:
                self._attend(job)
            except (BrokerAway, BrokerRefused) as error:
                self._put(job, _PAUSE)
                self._on_away(error)
                self._ended.wait(_PAUSE)
            except (FleetError, ValueError) as error:  # a record that cannot be read
                self._end(job, Look(JobState.FAILED, error={"fact": str(error)}))

    def _next(self) -> _Followed | None:
        """The job that is due, waited for; None where something changed meanwhile."""
        with self._changed:
            found = self._timetable.first()
            if self._ended.is_set():
                return None
            if found is None:
                self._changed.wait()
                return None
            due, job = found
            wait = due - self._clock()
            if wait > 0:
                self._changed.wait(wait)
                return None
            heapq.heappop(self._timetable.entries)
            job.due = -1.0
            return job

    def _attend(self, job: _Followed) -> None:
        if not job.is_submitted:
            outcome, message = self._records.submit(job.request, self._channel)
            job.is_submitted = True
            if message is not None:
                self._messenger.send(message)
            if outcome is Submitted.NEW:
                job.began = True
                self._put(job, _LOOK)
                return
        look = self._records.look(job.request.id)
        if look.state is None:
            job.is_submitted = False
            self._put(job, 0.0)
            return
        if look.state in _OVER:
            self._end(job, look)
        else:
            self._put(job, _LOOK)
            job.listener(look, began=job.began)

    def _end(self, job: _Followed, look: Look) -> None:
        with self._changed:
            is_followed = self._jobs.pop(job.request.id, None) is job
        if is_followed:
            job.listener(look, began=job.began)

    def _put(self, job: _Followed, seconds: float) -> None:
        """Attend to a job after some seconds; sooner, if there is news of it meanwhile."""
        with self._changed:
            if job.due < 0.0 and self._jobs.get(job.request.id) is job:
                self._timetable.put(job, self._clock() + seconds)

    def _listen(self) -> None:
        Listening(
            *(self._broker, self._channel, self._ended, partial(self._hasten, None), self._hasten),
            turn=_TURN,
            pause=_PAUSE,
        ).run()

    def _hasten(self, name: str | None) -> None:
        """Attend to a job now, or to all: news may have been lost before."""
        with self._changed:
            jobs = list(self._jobs.values()) if name is None else [self._jobs.get(name)]
            for job in jobs:
                if job is not None and (job.is_submitted or name is not None):
                    self._timetable.put(job, self._clock())
            self._changed.notify()
