"""The status that the page shows, as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from squashproxy import __version__
from squashproxy.oci.descriptor import Json
from squashproxy.pipeline.distinct_layers import distinct_bytes
from squashproxy.server.jobs.fleet_watch import FleetWatch
from squashproxy.server.jobs.job import Job
from squashproxy.server.jobs.jobs import Jobs
from squashproxy.server.page.fleet_status import fleet_document
from squashproxy.server.page.history import History, layers_of
from squashproxy.server.page.metrics import Metrics
from squashproxy.server.store.base import SquashRecord, Store
from squashproxy.server.upstream.clients import UpstreamClients, UpstreamState
from squashproxy.state.runs import Run, RunHistory

_MOST_IMAGES = 200
_MOST_RUNS = 100


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a running server; `started` in unix seconds."""

    listen: tuple[str, ...]
    started: float
    upstreams: UpstreamClients
    store: Store
    jobs: Jobs
    metrics: Metrics
    history: History
    runs: RunHistory | None = None
    fleet: FleetWatch | None = None

    def document(self, is_visible: Callable[[str], bool]) -> Json:
        """The document, with only the images that may be seen. Blocks while the store is asked.

        Sizes are in bytes, times in unix seconds.
        """
        usage = self.store.usage()
        totals = self.metrics.totals
        records = [record for record in self.history.records if is_visible(record.image)]
        layers = layers_of(records)
        distinct = distinct_bytes(layers)
        return {
            "version": __version__,
            "now": time.time(),
            "started": self.started,
            "listen": list(self.listen),
            "upstreams": [_upstream(*item) for item in self.upstreams.states.items()],
            "store": {
                "kind": usage.kind,
                "place": usage.place,
                "bytes": usage.used,
                "max_bytes": usage.most,
                "evictions": usage.evictions,
            },
            "totals": {
                "requests": totals.requests,
                "bytes_in": totals.bytes_in,
                "bytes_out": totals.bytes_out,
                "bytes_saved": sum(map(_saved, records)),
                "images": len(records),
                "distinct_original": distinct.plain,
                "distinct_served": distinct.held,
                "distinct_images": len(layers),
            },
            "images": [self._image(record) for record in records[:_MOST_IMAGES]],
            "savings": _savings(records),
            "jobs": [_job(job) for job in self.jobs.current if is_visible(job.image)],
            "fleet": self.fleet and fleet_document(self.fleet.state, is_visible),
            "runs": [] if self.runs is None else list(map(_run, self.runs.newest(_MOST_RUNS))),
            "errors": [
                {"at": problem.at, "image": problem.image, "message": problem.message}
                for problem in self.history.problems
                if is_visible(problem.image)
            ],
        }

    def _image(self, record: SquashRecord) -> Json:
        fields = asdict(replace(record, layers=None))
        del fields["layers"]
        return {**fields, "pulls": self.history.pulls_of(record.source_digest)}


def _saved(record: SquashRecord) -> int:
    return max(0, record.compressed_before - record.compressed_after)


def _savings(records: list[SquashRecord]) -> list[Json]:
    """The bytes saved until each record, the oldest first; `records` begin with the newest."""
    total = 0
    points = []
    for record in reversed(records):
        total += _saved(record)
        points.append({"at": record.made_at, "saved": total})
    return points


def _upstream(name: str, state: UpstreamState) -> Json:
    return {
        "name": name,
        "state": state.health.value,
        "until": state.until,
        "ratelimit_remaining": state.remaining,
    }


def _run(run: Run) -> Json:
    return {
        "section": run.section,
        "rule": run.rule,
        "due": run.due,
        "started": run.started,
        "ended": run.ended,
        "outcome": None if run.outcome is None else run.outcome.value,
        "summary": run.summary,
    }


def _job(job: Job) -> Json:
    return {
        "image": job.image,
        "source_digest": job.key.source,
        "state": job.state.value,
        "submitted": job.submitted,
        "started": job.started,
        "done_bytes": job.progress.done,
        "total_bytes": job.progress.total or None,
        "waiters": job.waiters,
    }
