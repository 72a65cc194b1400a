"""What the tests of this folder share."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from squashproxy.fleet.snapshot import Snapshot
from squashproxy.pipeline.distinct_layers import DistinctLayers
from squashproxy.server.jobs.fleet_watch import FleetState
from squashproxy.server.page.metrics import Metrics
from squashproxy.server.store.base import Usage
from squashproxy.server.upstream.clients import Health, UpstreamState
from squashproxy.state.database import open_state
from squashproxy.state.runs import Outcome, RunHistory

_FLEET = Snapshot(
    deliveries=1,
    redeliveries=0,
    registry_waits={"registry.example.com": 1.0},
)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every series of `/metrics`, with the names of its labels."""
    metrics = Metrics()
    states = {"docker.io": UpstreamState(Health.UP, None, 1)}
    metrics.watch(lambda: (0, 0, 0), lambda: Usage("directory", "cache", 0, 0, 0), lambda: states)
    metrics.watch_layers(list[DistinctLayers])
    with open_state(tmp_path_factory.mktemp("state")) as database:
        runs = RunHistory(database)
        runs.end(runs.begin("promote", "apps", None, time.time()), 0, Outcome.DONE, "", "{}")
        metrics.watch_runs(runs)
        metrics.watch_fleet(lambda: FleetState(_FLEET, 0, "", 0))
        metrics.count_request("manifest", "cached", 0.1)
        metrics.count_job("squashed", 0.1)
        metrics.count_failure("docker.io", "Unreachable")
        metrics.count_stale("docker.io")
        text = metrics.render().decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
