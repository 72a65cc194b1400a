"""A fleet that does what a test says: the broker is away, workers end jobs, one after another."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from squashproxy.errors import SquashproxyError
from squashproxy.fleet.errors import BrokerAway, FleetError
from squashproxy.fleet.follow import JobListener
from squashproxy.fleet.job import JobKind, JobRequest, JobState, QueueName
from squashproxy.fleet.records import Look
from squashproxy.fleet.settings import VERSION
from squashproxy.fleet.snapshot import JobView, QueueView, Snapshot, WorkerView
from squashproxy.registry.http.rate_limit import Pacer, RateLimit

AWAY = "the broker redis://redis.example:6379 cannot be reached: connection refused"
WORKER = WorkerView("host-a:12:3f", VERSION, "1.0", tuple(QueueName), 4, 3600.0, 1.0)
IDLE = Snapshot(workers=(WORKER,))


def job_view(title: str, state: JobState, **more: Any) -> JobView:
    """A job as a fleet shows it."""
    facts: dict[str, Any] = {"queue": QueueName.INTERACTIVE, "worker": "", "deliveries": 1}
    facts |= {"age": 12.0, "version": "5.1", **more}
    return JobView(title[-8:], JobKind.SQUASH, title, state, **facts)


BUSY = Snapshot(
    queues={
        QueueName.INTERACTIVE: QueueView(3, 42.0),
        QueueName.BULK: QueueView(1200, 5400.0),
    },
    running=(
        job_view(
            "up.example/team/a-long-name-of-an-image/api:1.2.3-rc1",
            *(JobState.RUNNING,),
            worker="host-a:12:3f",
            deliveries=2,
            doing="layer 3",
            done=30_000_000,
            total=80_000_000,
        ),
    ),
    queued=(
        job_view("up.example/web:2", JobState.QUEUED),
        job_view(
            *("up.example/old:1", JobState.QUEUED),
            waits_for="a worker of version 4.1 for interactive jobs",
        ),
    ),
    failed=(
        job_view(
            "up.example/gone:1", JobState.FAILED, error="up.example has no manifest", age=99.0
        ),
    ),
    parked=(
        job_view(
            "up.example/poison:1",
            *(JobState.PARKED,),
            deliveries=3,
            error="it was given to a worker 3 times, and none of them came to its end",
        ),
    ),
    counts={
        JobState.QUEUED: 1203,
        JobState.RUNNING: 1,
        JobState.FAILED: 1,
        JobState.PARKED: 1,
        JobState.DONE: 7,
    },
    workers=(WORKER,),
    leader="host-b:7:aa",
    deliveries=5000,
    redeliveries=7,
    registry_waits={"docker.io": 812.5, "ghcr.io": 0.2},
)
"""A fleet of which everything can be shown."""


@dataclass
class ScriptedJournal:
    """A list as in the broker; it takes nothing while the broker is away."""

    entries: list[Any] = field(default_factory=list)
    is_away: bool = False

    def append(self, entry: Any, *, most: int | None = None) -> None:
        if self.is_away:
            raise BrokerAway(AWAY)
        self.entries = [*self.entries, json.loads(json.dumps(entry))][-(most or 0) :]

    def read(self, start: int = 0) -> list[Any]:
        return self.entries[start:]


@dataclass
class ScriptedFleet:
    """A fleet and its follower; `snapshot_now` is what it shows, None while its broker is away."""

    snapshot_now: Snapshot | None = IDLE
    warnings: Sequence[str] = ()
    refusal: SquashproxyError | None = None
    joined: list[Mapping[str, Any]] = field(default_factory=list)
    journals: dict[str, ScriptedJournal] = field(default_factory=dict)
    submitted: dict[str, tuple[JobRequest, JobListener]] = field(default_factory=dict)
    is_started: bool = False
    is_closed: bool = False
    on_away: Callable[[FleetError], None] | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def check(self) -> Sequence[str]:
        self._ask()
        return self.warnings

    def join(self, facts: Mapping[str, Any] | None = None) -> None:
        self._ask()
        self.joined.append(facts or {})

    def snapshot(self) -> Snapshot:
        return self._ask()

    def follower(self, on_away: Callable[[FleetError], None]) -> ScriptedFleet:
        self.on_away = on_away
        return self

    def journal(self, name: str) -> ScriptedJournal:
        return self.journals.setdefault(name, ScriptedJournal())

    def pacer(self, rates: Mapping[str, float], sleep: Callable[[float], None]) -> Pacer:
        return RateLimit(rates, sleep, time.monotonic)

    def start(self) -> None:
        self.is_started = True

    def follow(self, request: JobRequest, listener: JobListener) -> None:
        with self._changed:
            self.submitted[request.title] = (request, listener)
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        del seconds
        self.is_closed = True
        return True

    def wait_for(self, title: str) -> JobRequest:
        """The request for a job, waited for."""
        deadline = time.monotonic() + 20
        with self._changed:
            while title not in self.submitted:
                assert self._changed.wait(deadline - time.monotonic()), f"{title} is not submitted"
            return self.submitted[title][0]

    def tell(self, title: str, look: Look, *, began: bool = True) -> None:
        """Tell the server of a job what its record says."""
        self.submitted[title][1](look, began=began)

    def _ask(self) -> Snapshot:
        if self.refusal is not None:
            raise self.refusal
        if self.snapshot_now is None:
            raise BrokerAway(AWAY, advice="is it up?")
        return self.snapshot_now
