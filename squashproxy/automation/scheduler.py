"""The scheduler: starts each job when it is due, never twice at once, and makes up a missed run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from squashproxy.automation.leader import Alone, Turns
from squashproxy.rules.timetable import Timetable
from squashproxy.state.runs import Outcome, RunHistory

_LOG = logging.getLogger("squashproxy.automation")
_STANDBY_PAUSE = 1.0
"""How often another process that leads is looked after, in seconds."""
_LONGEST_PAUSE = 30.0
"""The clock is read again at least this often, in seconds, since it may be set."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended: its outcome, a line for people, and its result as JSON."""

    outcome: Outcome
    summary: str
    document: str


@dataclass(frozen=True, slots=True)
class Job:
    """A rule and its schedule; `work` runs the rule and raises nothing."""

    section: str
    name: str
    timetable: Timetable
    work: Callable[[], Report]

    @property
    def key(self) -> tuple[str, str]:
        """Identifies the rule, also after the configuration was loaded again."""
        return self.section, self.name


_BROKE = Report(Outcome.FAILED, "it broke off: this is a bug", "{}")


def in_thread(work: Callable[[], None]) -> None:
    """Start work in a thread of its own."""
    threading.Thread(target=work, name="squashproxy-job", daemon=True).start()


class Scheduler:
    """Starts jobs when they are due and it is this process's turn; `now` gives unix seconds.

    `begin` starts a run, in a thread by default; `pause` waits for a number of seconds, or until
    `wake` is called. All methods but `run` may be called from any thread.
    """

    def __init__(
        self,
        history: RunHistory,
        now: Callable[[], float],
        turns: Turns | None = None,
        *,
        begin: Callable[[Callable[[], None]], None] = in_thread,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._history = history
        self._now = now
        self._turns = turns or Alone()
        self._led = True
        self._begin = begin
        self._event = threading.Event()
        self._pause = pause or self._wait
        self._lock = threading.Condition()
        self._jobs: dict[tuple[str, str], Job] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._running: set[tuple[str, str]] = set()
        self._looked = 0.0
        self._is_stopped = False

    def load(self, jobs: Sequence[Job]) -> None:
        """Replace all jobs; running ones finish.

        A job whose time passed since its last run, while no process was running, is due at once.
        """
        now = self._now()
        with self._lock:
            before = self._jobs
            self._jobs = {job.key: job for job in jobs}
            for key, job in self._jobs.items():
                known = before.get(key)
                if known is None or known.timetable != job.timetable:
                    self._due[key] = self._first_due(job, now)
        self.wake()

    def run(self) -> None:
        """Start jobs as they become due, until `stop` is called."""
        while not self._is_stopped:
            if not self._leads():
                self._pause(_STANDBY_PAUSE)
                continue
            now = self._now()
            for job, due in self._take_due(now):
                _LOG.info("%s %s begins", job.section, job.name)
                self._turns.note(job.section, job.name, now)
                number = self._history.begin(job.section, job.name, due, now)
                self._begin(partial(self._work, job, number))
            self._pause(self._until_next())

    def stop(self) -> None:
        """Start no more jobs."""
        self._is_stopped = True
        self.wake()

    def wake(self) -> None:
        """End the current pause."""
        self._event.set()

    @property
    def running(self) -> list[str]:
        """The names of the rules that are running."""
        with self._lock:
            return sorted(name for _, name in self._running)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` until no job is running; return whether that is so."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._running, seconds)

    def _leads(self) -> bool:
        """Whether it is this process's turn. When it becomes so, others may have run jobs since."""
        leads = self._turns.leads()
        if leads and not self._led:
            self._take_over()
        self._led = leads
        return leads

    def _take_over(self) -> None:
        """Put off the jobs that another process has begun since they were due here."""
        now = self._now()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            last = self._turns.last(*job.key)
            if last is not None:
                with self._lock:
                    due = job.timetable.next_after(min(now, last), job.name)
                    self._due[job.key] = max(self._due.get(job.key, due), due)

    def _first_due(self, job: Job, now: float) -> float:
        last = self._history.last(*job.key)
        since = now if last is None else min(now, last.started)
        return job.timetable.next_after(since, job.name)

    def _take_due(self, now: float) -> list[tuple[Job, float]]:
        with self._lock:
            if now < self._looked:
                self._plan_anew(now)
            self._looked = now
            found = [
                (job, self._due[key])
                for key, job in self._jobs.items()
                if self._due[key] <= now and key not in self._running
            ]
            for job, _ in found:
                self._running.add(job.key)
                self._due[job.key] = job.timetable.next_after(now, job.name)
        return found

    def _plan_anew(self, now: float) -> None:
        """Bring forward what would be due too late, since the clock was set back."""
        for key, job in self._jobs.items():
            self._due[key] = min(self._due[key], job.timetable.next_after(now, job.name))

    def _work(self, job: Job, number: int) -> None:
        report = _BROKE
        try:
            report = job.work()
        finally:
            self._end(job, number, report)

    def _end(self, job: Job, number: int, report: Report) -> None:
        self._history.end(number, self._now(), report.outcome, report.summary, report.document)
        level = logging.INFO if report.outcome is Outcome.DONE else logging.WARNING
        said = f"{report.outcome.value}: {report.summary}"
        _LOG.log(level, "%s %s %s", job.section, job.name, said)
        with self._lock:
            self._running.discard(job.key)
            self._lock.notify_all()
            if job.key in self._jobs:
                timetable = self._jobs[job.key].timetable
                self._due[job.key] = timetable.next_after(self._now(), job.name)
        self.wake()

    def _until_next(self) -> float:
        now = self._now()
        with self._lock:
            waiting = [self._due[key] - now for key in self._jobs if key not in self._running]
        return min([max(0.0, wait) for wait in waiting] + [_LONGEST_PAUSE])

    def _wait(self, seconds: float) -> None:
        self._event.wait(seconds)
        self._event.clear()
