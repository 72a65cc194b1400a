"""The state of a fleet at one moment, for `squashproxy jobs`, metrics and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from squashproxy.fleet.job import JobKind, JobState, QueueName


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people see it; `age` is how long it has been in its state, in seconds.

    `worker` holds the lease, or held it last; empty where nobody did. `deliveries` counts how often
    it was handed to a worker. `done` and `total` are of what it does now, in the unit of `doing`;
    `total` is None where nobody knows. `error` is the sentence of a job that failed, or of the last
    attempt. `waits_for` says what a queued job waits for, if not for its turn.
    """

    id: str
    kind: JobKind
    title: str
    state: JobState
    queue: QueueName
    worker: str
    deliveries: int
    age: float
    version: str
    doing: str = ""
    done: int = 0
    total: int | None = None
    error: str = ""
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that is alive; `age` is how long it has run, `seen` how long ago it said so.

    `processes` is how many jobs it runs at once.
    """

    name: str
    version: str
    product: str
    queues: tuple[QueueName, ...]
    processes: int
    age: float
    seen: float


@dataclass(frozen=True, slots=True)
class QueueView:
    """How many jobs wait in a queue, and for how many seconds the oldest of them has."""

    queued: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is queued, running, failed and parked; oldest first, each at most `MOST` entries.

    The counts are of all jobs. `leader` is the process that runs the schedules, or empty.
    `deliveries` and `redeliveries` count since the broker holds this fleet, `registry_waits` the
    seconds that workers waited for each registry's rate.
    """

    queues: Mapping[QueueName, QueueView] = field(default_factory=dict)
    queued: tuple[JobView, ...] = ()
    running: tuple[JobView, ...] = ()
    failed: tuple[JobView, ...] = ()
    parked: tuple[JobView, ...] = ()
    counts: Mapping[JobState, int] = field(default_factory=dict)
    workers: tuple[WorkerView, ...] = ()
    leader: str = ""
    deliveries: int = 0
    redeliveries: int = 0
    registry_waits: Mapping[str, float] = field(default_factory=dict)

    def has_workers(self, queue: QueueName, version: str) -> bool:
        """Whether any worker takes jobs of that queue and version."""
        return any(each.version == version and queue in each.queues for each in self.workers)


MOST = 1000
