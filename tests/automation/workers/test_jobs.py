"""The jobs of one run of a rule, over a fleet that only the test has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from squashproxy.automation.workers import jobs
from squashproxy.automation.workers.jobs import FleetJobs
from squashproxy.automation.workers.rules import RuleDiffers
from squashproxy.cancellation import Cancellation
from squashproxy.fleet.errors import JobFailed
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobKind, JobRequest
from squashproxy.progress import RecordingObserver, SilentObserver

_REQUEST = JobRequest(JobKind.PROMOTE, "key", "an image")


class _OldWorkers:
    """Answers each first time as workers do that know another version of the rule."""

    def __init__(self) -> None:
        self._calls = 0

    def run(self, *_: object) -> Mapping[str, Any]:
        self._calls += 1
        if self._calls % 2:
            raise JobFailed("a worker has another version of the rule", kind=RuleDiffers.__name__)
        return {"done": True}


def test_a_run_that_waits_for_newer_workers_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_RULE_PAUSE", 0.0)
    run = FleetJobs(cast(Fleet, _OldWorkers()), Cancellation())
    told: list[tuple[str, ...]] = []
    for _ in range(2):
        observer = RecordingObserver(SilentObserver())
        assert run.run(_REQUEST, observer) == {"done": True}
        told.append(observer.warnings)
    sentence = "a worker has another version of the rule; waiting for others for up to 60 s"
    assert told == [(sentence,), ()]
