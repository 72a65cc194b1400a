"""Workers as processes."""

from __future__ import annotations

from pathlib import Path

from squashproxy.cancellation import Cancellation
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobKind, JobRequest
from squashproxy.fleet.settings import FleetSettings
from squashproxy.progress import SilentObserver
from tests.fleet.worker_process import workers


def request(name: str, **body: object) -> JobRequest:
    return JobRequest(JobKind.PROMOTE, name, f"promote {name}", {"name": name, **body})


def test_a_job_runs_on_a_worker(settings: FleetSettings, tmp_path: Path) -> None:
    with workers(settings, tmp_path), Fleet(settings) as fleet:
        found = fleet.run(request("a", answer=7), SilentObserver(), Cancellation())
    assert found["answer"] == 7
