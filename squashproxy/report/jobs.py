"""The report of `squashproxy jobs`: what is queued, running, failed and parked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from squashproxy.fleet.job import JobState, QueueName
from squashproxy.fleet.snapshot import JobView, Snapshot, WorkerView
from squashproxy.report.screen import Screen, Table
from squashproxy.report.sizes import count_text

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SHOWN = 50


def jobs_document(snapshot: Snapshot, retried: Sequence[str] = ()) -> dict[str, Any]:
    """A snapshot as JSON; times are in seconds."""
    return {
        "queued": [_job_document(job) for job in snapshot.queued],
        "running": [_job_document(job) for job in snapshot.running],
        "failed": [_job_document(job) for job in snapshot.failed],
        "parked": [_job_document(job) for job in snapshot.parked],
        "counts": {state.value: snapshot.counts.get(state, 0) for state in JobState},
        "queues": {
            queue.value: {
                "queued": snapshot.queues[queue].queued,
                "oldest_seconds": snapshot.queues[queue].oldest_seconds,
            }
            for queue in QueueName
        },
        "workers": [_worker_document(worker) for worker in snapshot.workers],
        "leader": snapshot.leader or None,
        "deliveries": snapshot.deliveries,
        "redeliveries": snapshot.redeliveries,
        "registry_wait_seconds": dict(snapshot.registry_waits),
        "retried": list(retried),
    }


def _job_document(job: JobView) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind.value,
        "title": job.title,
        "state": job.state.value,
        "queue": job.queue.value,
        "worker": job.worker or None,
        "deliveries": job.deliveries,
        "age_seconds": job.age,
        "version": job.version,
        "progress": _progress_document(job),
        "error": job.error or None,
        "waits_for": job.waits_for or None,
    }


def _progress_document(job: JobView) -> dict[str, Any] | None:
    if not job.doing:
        return None
    return {"label": job.doing, "done": job.done, "total": job.total}


def _worker_document(worker: WorkerView) -> dict[str, Any]:
    return {
        "name": worker.name,
        "version": worker.version,
        "product": worker.product,
        "queues": [queue.value for queue in worker.queues],
        "processes": worker.processes,
        "age_seconds": worker.age,
        "seen_seconds": worker.seen,
    }


def show_jobs(screen: Screen, snapshot: Snapshot) -> None:
    """Write workers, queues and jobs for people."""
    _show_workers(screen, snapshot.workers)
    for queue in QueueName:
        found = snapshot.queues[queue]
        oldest = f", the oldest for {age_text(found.oldest_seconds)}" if found.queued else ""
        screen.fact(queue.value, f"{count_text(found.queued, 'job')} queued{oldest}")
    if snapshot.leader:
        screen.fact("leader", f"{snapshot.leader} runs the schedules")
    _show_state(screen, JobState.RUNNING, snapshot.running, snapshot)
    _show_state(screen, JobState.QUEUED, snapshot.queued, snapshot)
    _show_state(screen, JobState.FAILED, snapshot.failed, snapshot)
    _show_state(screen, JobState.PARKED, snapshot.parked, snapshot)


def age_text(seconds: float) -> str:
    """A time in its largest unit, as in `3 s`, `12 min`, `5 h`, `2 d`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"


def _show_workers(screen: Screen, workers: Sequence[WorkerView]) -> None:
    if not workers:
        screen.line("no worker is alive; start one with `squashproxy worker`", "bold red")
        return
    table = Table(("worker", "takes", "version", "at once", "up"), left=3, names=1)
    for worker in workers:
        table.add_row(
            worker.name,
            ", ".join(queue.value for queue in worker.queues),
            worker.version,
            str(worker.processes),
            age_text(worker.age),
        )
    screen.show(table)


def _show_state(
    screen: Screen, state: JobState, jobs: Sequence[JobView], snapshot: Snapshot
) -> None:
    if not jobs:
        return
    screen.line()
    screen.line(f"{state.value} ({snapshot.counts.get(state, len(jobs))})", "bold")
    table = Table(("id", "job", "worker", "deliveries", "for", "what"), left=3, left_end=True)
    for job in jobs[:_SHOWN]:
        table.add_row(
            *(job.id, job.title, job.worker, str(job.deliveries), age_text(job.age), _what(job))
        )
    screen.show(table)
    if len(jobs) > _SHOWN:
        screen.line(f"and {len(jobs) - _SHOWN} more; --json lists them")


def _what(job: JobView) -> str:
    if job.waits_for:
        return f"waits for {job.waits_for}"
    if job.state is JobState.RUNNING and job.doing:
        share = f" {100 * job.done // job.total} %" if job.total else ""
        return f"{job.doing}{share}"
    return job.error
