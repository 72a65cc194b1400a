"""Reads the state of a fleet from the broker (snapshot.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.job import JobKind, JobState, QueueName
from squashproxy.fleet.records import unpack
from squashproxy.fleet.snapshot import MOST, JobView, QueueView, Snapshot, WorkerView

_FIELDS = (
    *("kind", "title", "state", "queue", "version", "since", "submitted", "deliveries"),
    *("worker", "progress", "error"),
)
_WAIT = "wait:"


def read_snapshot(broker: Broker) -> Snapshot:
    """The present state. Raises BrokerAway and BrokerRefused.

    Jobs may change while it is read; each of them is shown as it was at one moment.
    """
    now = broker.milliseconds()
    names = [_text(name) for name in broker.ask("SMEMBERS", broker.key("queues"))]
    workers = _workers(broker, now)
    queued = {name: _Set(broker, broker.key("queued", *name.split(":", 1))) for name in names}
    ended = {state: _Set(broker, broker.key("state", state.value)) for state in _OTHERS}
    versions = {(queue, each.version) for each in workers for queue in each.queues}
    counters = _pairs(broker.ask("HGETALL", broker.key("counters")))
    leader = _text(broker.ask("GET", broker.key("leader")) or b"")
    waiting = sorted(
        (job for found in queued.values() for job in found.jobs(now, versions)),
        key=lambda job: -job.age,
    )
    return Snapshot(
        queues=_queues(queued, now),
        queued=tuple(waiting[:MOST]),
        running=tuple(ended[JobState.RUNNING].jobs(now, versions)),
        failed=tuple(ended[JobState.FAILED].jobs(now, versions)),
        parked=tuple(ended[JobState.PARKED].jobs(now, versions)),
        counts={
            JobState.QUEUED: sum(each.count for each in queued.values()),
            **{state: found.count for state, found in ended.items()},
        },
        workers=tuple(workers),
        leader=leader.rpartition(" ")[0],
        deliveries=int(counters.get("deliveries", "0")),
        redeliveries=int(counters.get("redeliveries", "0")),
        registry_waits={
            name.removeprefix(_WAIT): float(value)
            for name, value in counters.items()
            if name.startswith(_WAIT)
        },
    )


_OTHERS = (JobState.RUNNING, JobState.DONE, JobState.FAILED, JobState.PARKED)


class _Set:
    """One of the broker's sorted sets of jobs."""

    def __init__(self, broker: Broker, key: str) -> None:
        self._broker = broker
        count, oldest = broker.ask_all([("ZCARD", key), ("ZRANGE", key, 0, MOST - 1, "WITHSCORES")])
        self.count = int(count)
        pairs = _scored(oldest)
        self._ids = [job for job, _ in pairs]
        self.oldest = pairs[0][1] if pairs else None

    def jobs(self, now: int, versions: set[tuple[QueueName, str]]) -> list[JobView]:
        """The oldest jobs; records that have just expired are left out."""
        if not self._ids:
            return []
        found = self._broker.ask_all(
            [("HMGET", self._broker.key("job", job), *_FIELDS) for job in self._ids]
        )
        return [
            _job(job, values, now, versions)
            for job, values in zip(self._ids, found, strict=True)
            if values[0] is not None and values[2] is not None
        ]


def _job(
    job: str, values: Sequence[bytes | None], now: int, versions: set[tuple[QueueName, str]]
) -> JobView:
    kind, title, stated, in_queue, version = (_text(value or b"") for value in values[:5])
    state, queue = JobState(stated), QueueName(in_queue)
    began = values[6] if state is JobState.QUEUED else values[5]
    lines = [line for line in unpack(values[9]) or () if line[4] is None]
    doing, total, done = (lines[-1][1:4]) if lines else ("", None, 0)
    error: Mapping[str, Any] = unpack(values[10]) or {}
    sentence = "; ".join(part for part in (error.get("fact"), error.get("advice")) if part)
    lacks = state is JobState.QUEUED and (queue, version) not in versions
    return JobView(
        id=job,
        kind=JobKind(kind),
        title=title,
        state=state,
        queue=queue,
        worker=_text(values[8] or b""),
        deliveries=int(values[7] or 0),
        age=max(0, now - int(began or now)) / 1000,
        version=version,
        doing=doing,
        done=done,
        total=total,
        error=sentence,
        waits_for=f"a worker of version {version} for {queue.value} jobs" if lacks else "",
    )


def _queues(queued: Mapping[str, _Set], now: int) -> dict[QueueName, QueueView]:
    found = dict.fromkeys(QueueName, QueueView())
    for name, jobs in queued.items():
        queue = QueueName(name.partition(":")[0])
        age = 0.0 if jobs.oldest is None else max(0.0, now - jobs.oldest) / 1000
        so_far = found[queue]
        found[queue] = QueueView(so_far.queued + jobs.count, max(so_far.oldest_seconds, age))
    return found


def _workers(broker: Broker, now: int) -> list[WorkerView]:
    names = [_text(name) for name in broker.ask("ZRANGE", broker.key("members"), 0, -1)]
    if not names:
        return []
    found = broker.ask_all(
        [("HMGET", broker.key("member", name), "facts", "joined", "seen") for name in names]
    )
    workers = []
    for name, (facts, joined, seen) in zip(names, found, strict=True):
        stated = json.loads(facts) if facts else {}
        if stated.get("role") != "worker":
            continue
        workers.append(
            WorkerView(
                name=name,
                version=stated["version"],
                product=stated["product"],
                queues=tuple(map(QueueName, stated["queues"])),
                processes=stated["processes"],
                age=(now - int(joined or now)) / 1000,
                seen=max(0, now - int(seen or now)) / 1000,
            )
        )
    return sorted(workers, key=lambda each: each.name)


def _scored(answer: Sequence[Any]) -> list[tuple[str, float]]:
    """Members with their scores, which redis-py has paired already, or not."""
    if answer and isinstance(answer[0], (tuple, list)):
        return [(_text(name), float(score)) for name, score in answer]
    return [
        (_text(name), float(score)) for name, score in zip(answer[::2], answer[1::2], strict=True)
    ]


def _pairs(answer: Any) -> dict[str, str]:
    if isinstance(answer, dict):
        return {_text(name): _text(value) for name, value in answer.items()}
    return {
        _text(name): _text(value) for name, value in zip(answer[::2], answer[1::2], strict=True)
    }


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
