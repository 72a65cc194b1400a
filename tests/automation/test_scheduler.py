"""Schedules through a night, on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from squashproxy.automation.scheduler import Job, Report, Scheduler
from squashproxy.rules.timetable import Timetable
from squashproxy.state.database import open_state
from squashproxy.state.runs import Outcome, RunHistory

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = datetime(2026, 11, 26, 20, 0, tzinfo=BERLIN).timestamp()
HOUR = 3600.0
DONE = Report(Outcome.DONE, "done", "{}")


@dataclass(slots=True)
class Night:
    """A clock, a history, and who ran when, in hours after the evening."""

    history: RunHistory
    clock: float = EVENING
    ran: list[tuple[str, float]] = field(default_factory=list)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    jumps: dict[float, float] = field(default_factory=dict)
    """Hours after the evening at which the clock is set, and by how many."""

    def job(self, name: str, cron: str | None = None, every: float | None = None) -> Job:
        def work() -> Report:
            self.ran.append((name, round((self.clock - EVENING) / HOUR, 2)))
            return DONE

        return Job("promote", name, Timetable(cron, every, BERLIN), work)

    def pass_until(self, hours: float, *jobs: Job, takes: float = 0.0) -> None:
        """Let a scheduler run; each run takes so many seconds."""
        end = EVENING + hours * HOUR

        def begin(work: Callable[[], None]) -> None:
            if takes:
                self.later.append((self.clock + takes, work))
            else:
                work()

        def pause(seconds: float) -> None:
            self.clock += max(1.0, seconds)
            for each in [each for each in self.later if each[0] <= self.clock]:
                self.later.remove(each)
                each[1]()
            for at in [at for at in self.jumps if self.clock >= EVENING + at * HOUR]:
                self.clock += self.jumps.pop(at) * HOUR
            if self.clock >= end and not self.jumps:
                scheduler.stop()

        scheduler = Scheduler(self.history, lambda: self.clock, begin=begin, pause=pause)
        scheduler.load(jobs)
        scheduler.run()


def test_a_night() -> None:
    with open_state(None) as database:
        night = Night(RunHistory(database))
        night.pass_until(
            12.5,
            night.job("nightly", "0 3 * * *"),
            night.job("hourly", "0 * * * *"),
            night.job("often", every=4 * HOUR),
        )
    assert [at for name, at in night.ran if name == "nightly"] == [7.0]
    assert [at for name, at in night.ran if name == "hourly"] == [float(n) for n in range(1, 13)]
    assert len([at for name, at in night.ran if name == "often"]) == 3


def test_a_rule_never_overlaps_itself() -> None:
    with open_state(None) as database:
        night = Night(RunHistory(database))
        night.pass_until(6.0, night.job("slow", "0 * * * *"), takes=1.5 * HOUR)
        starts = [run.started for run in night.history.newest(9)]
    assert all(later - earlier >= 1.5 * HOUR for later, earlier in pairwise(starts))


def test_what_was_missed_is_caught_up_once() -> None:
    with open_state(None) as database:
        night = Night(RunHistory(database))
        hourly = night.job("hourly", "0 * * * *")
        night.pass_until(1.1, hourly)
        night.clock = EVENING + 5.5 * HOUR
        night.pass_until(6.1, hourly)
    assert [round(at) for _, at in night.ran] == [1, 6, 6]


JUMPS = {
    "back by a day": ({2.5: -24.0}, -18.0),
    "back by ten years": ({2.5: -87_600.0}, -87_590.0),
    "back by a minute": ({2.5: -1 / 60}, 6.0),
    "forward by a year, and corrected": ({2.5: 8_760.0, 8_000.0: -8_760.0}, 6.0),
}


@pytest.mark.parametrize(("jumps", "until"), JUMPS.values(), ids=JUMPS)
def test_a_rule_goes_on_when_the_clock_is_set(jumps: dict[float, float], until: float) -> None:
    with open_state(None) as database:
        night = Night(RunHistory(database), jumps=dict(jumps))
        night.pass_until(until, night.job("hourly", "0 * * * *"))
    last = [at for _, at in night.ran if at > until - 3]
    assert len(last) >= 2
    assert len(night.ran) < 20


def test_a_new_rule_waits_for_its_first_time() -> None:
    with open_state(None) as database:
        night = Night(RunHistory(database))
        night.pass_until(2.0, night.job("nightly", "0 3 * * *"))
    assert night.ran == []


def test_the_history_tells_what_each_run_did() -> None:
    with open_state(None) as database:
        night = Night(RunHistory(database))
        night.pass_until(1.1, night.job("hourly", "0 * * * *"))
        (run,) = night.history.newest(10)
    assert (run.outcome, run.summary, run.due) == (Outcome.DONE, "done", EVENING + HOUR)
    assert run.ended is not None
