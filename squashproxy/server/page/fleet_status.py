"""The fleet in the status that the page shows, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from squashproxy.fleet.job import JobState, QueueName
from squashproxy.fleet.snapshot import JobView, QueueView, Snapshot, WorkerView
from squashproxy.oci.descriptor import Json
from squashproxy.server.jobs.fleet_watch import FleetState

_MOST_JOBS = 50


def fleet_document(state: FleetState, is_visible: Callable[[str], bool]) -> Json:
    """The document of the fleet, with only the jobs whose title may be seen.

    `at` is when the fleet was looked at, None for never; `since` when its broker came or went away.
    Both are in unix seconds, ages in seconds. `stuck` says that nothing is squashed now.
    """
    snapshot = state.snapshot or Snapshot()
    return {
        "broker": "away" if state.away else "up" if state.snapshot else "unknown",
        "away": state.away or None,
        "stuck": state.is_stuck,
        "since": state.since,
        "at": state.at or None,
        "queues": [_queue(name, snapshot.queues.get(name, QueueView())) for name in QueueName],
        "workers": [_worker(worker) for worker in snapshot.workers],
        "leader": snapshot.leader or None,
        "counts": {each.value: snapshot.counts.get(each, 0) for each in JobState},
        "running": _jobs(snapshot.running, is_visible),
        "queued": _jobs(snapshot.queued, is_visible),
        "parked": _jobs(snapshot.parked, is_visible),
        "failed": _jobs(snapshot.failed, is_visible),
        "deliveries": snapshot.deliveries,
        "redeliveries": snapshot.redeliveries,
        "registry_waits": dict(sorted(snapshot.registry_waits.items())),
    }


def _jobs(jobs: Iterable[JobView], is_visible: Callable[[str], bool]) -> list[Json]:
    return [_job(job) for job in jobs if is_visible(job.title)][:_MOST_JOBS]


def _queue(name: QueueName, view: QueueView) -> Json:
    return {"name": name.value, "queued": view.queued, "oldest_seconds": view.oldest_seconds}


def _worker(worker: WorkerView) -> Json:
    return {
        "name": worker.name,
        "version": worker.product,
        "queues": [queue.value for queue in worker.queues],
        "processes": worker.processes,
        "age": worker.age,
        "seen": worker.seen,
    }


def _job(job: JobView) -> Json:
    return {
        "id": job.id,
        "kind": job.kind.value,
        "title": job.title,
        "queue": job.queue.value,
        "worker": job.worker or None,
        "deliveries": job.deliveries,
        "age": job.age,
        "doing": job.doing,
        "done": job.done,
        "total": job.total,
        "error": job.error or None,
        "waits_for": job.waits_for or None,
    }
