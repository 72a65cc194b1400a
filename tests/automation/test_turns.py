"""Several processes with the same schedules: one begins the runs, and another one takes over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from squashproxy.automation.scheduler import Job, Report, Scheduler
from squashproxy.rules.timetable import Timetable
from squashproxy.state.database import open_state
from squashproxy.state.runs import Outcome, RunHistory
from tests.automation.test_scheduler import BERLIN, EVENING, HOUR

_DONE = Report(Outcome.DONE, "done", "{}")


@dataclass(slots=True)
class Fleet:
    """What processes share: who leads when, in hours after the evening, and the last starts."""

    leads: Callable[[float], str | None]
    clock: float = EVENING
    starts: dict[tuple[str, str], float] = field(default_factory=dict)
    ran: list[tuple[str, float]] = field(default_factory=list)

    @property
    def hours(self) -> float:
        return (self.clock - EVENING) / HOUR


@dataclass(slots=True)
class Turns:
    fleet: Fleet
    name: str

    def leads(self) -> bool:
        return self.fleet.leads(self.fleet.hours) == self.name

    def last(self, section: str, rule: str) -> float | None:
        return self.fleet.starts.get((section, rule))

    def note(self, section: str, rule: str, at: float) -> None:
        self.fleet.starts[section, rule] = at


def _night(fleet: Fleet, hours: float, timetable: Timetable) -> list[tuple[str, float]]:
    """Let two processes run side by side, turn by turn."""
    schedulers = {name: _scheduler(fleet, name, timetable) for name in ("one", "two")}
    while fleet.hours < hours:
        for scheduler in schedulers.values():
            scheduler._is_stopped = False
            scheduler.run()
        fleet.clock += 60
    return [(name, round(hour, 1)) for name, hour in fleet.ran]


def _scheduler(fleet: Fleet, name: str, timetable: Timetable) -> Scheduler:
    def work() -> Report:
        fleet.ran.append((name, fleet.hours))
        return _DONE

    scheduler = Scheduler(
        RunHistory(open_state(None)),
        lambda: fleet.clock,
        Turns(fleet, name),
        begin=lambda begun: begun(),
        pause=lambda _: scheduler.stop(),
    )
    scheduler.load([Job("promote", "apps", timetable, work)])
    return scheduler


HOURLY = Timetable(None, HOUR, BERLIN)
NIGHTLY = Timetable("0 3 * * *", None, BERLIN)
CASES: dict[str, tuple[Timetable, Callable[[float], str | None], list[tuple[str, float]]]] = {
    "the leader runs everything": (
        HOURLY,
        lambda _: "two",
        [("two", 1), ("two", 2), ("two", 3), ("two", 4)],
    ),
    "another takes over when it ends": (
        HOURLY,
        lambda hours: "one" if hours < 2.5 else "two",
        [("one", 1), ("one", 2), ("two", 3), ("two", 4)],
    ),
    "what has run already does not run again at once": (
        HOURLY,
        lambda hours: "one" if hours < 3.05 else "two",
        [("one", 1), ("one", 2), ("one", 3), ("two", 4)],
    ),
    "what fell due while nobody led is made up once": (
        HOURLY,
        lambda hours: "one" if hours < 1.5 else None if hours < 3.5 else "two",
        [("one", 1), ("two", 3.5), ("two", 4)],
    ),
    "a leader that comes back goes on": (
        HOURLY,
        lambda hours: "two" if 1.5 < hours < 3.5 else "one",
        [("one", 1), ("two", 2), ("two", 3), ("one", 4)],
    ),
    "a nightly run whose moment nobody led": (
        NIGHTLY,
        lambda hours: "one" if hours < 6.9 else None if hours < 7.5 else "two",
        [("two", 7.5)],
    ),
}


@pytest.mark.parametrize(("timetable", "leads", "ran"), CASES.values(), ids=CASES)
def test_each_run_happens_once(
    timetable: Timetable, leads: Callable[[float], str | None], ran: list[tuple[str, float]]
) -> None:
    assert _night(Fleet(leads), 8.5 if timetable is NIGHTLY else 4.5, timetable) == ran
