"""A server whose jobs are done by workers: what pulls get, and when they get something else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cancellation import Cancellation
from squashproxy.config.read import parse_configuration
from squashproxy.errors import SquashproxyError, Unsigned
from squashproxy.fleet.errors import BrokerRefused, ForeignFleet
from squashproxy.fleet.job import JobState, QueueName
from squashproxy.fleet.records import Look
from squashproxy.fleet.settings import VERSION
from squashproxy.fleet.snapshot import Snapshot, WorkerView
from squashproxy.progress import SilentObserver
from squashproxy.registry.options import ClientOptions
from squashproxy.server.jobs.fleet_handler import open_squash_handler
from squashproxy.server.jobs.fleet_place import failure_of
from squashproxy.server.jobs.jobs import _LASTING
from squashproxy.testing import FakeRegistry
from tests.server.scripted_fleet import AWAY, IDLE, WORKER, ScriptedFleet
from tests.server.serving import UP, Served, app, run_serve, settings

IMAGE = f"{UP}/app:1"


@pytest.fixture
def store() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def section(upstream: FakeRegistry, store: FakeRegistry, tmp_path: Path) -> dict[str, Any]:
    return settings(upstream, tmp_path, store={"registry": f"{store.host}/cache"})


@pytest.fixture
def fleet() -> ScriptedFleet:
    return ScriptedFleet()


@pytest.fixture
def served(section: dict[str, Any], fleet: ScriptedFleet) -> Iterator[Served]:
    with run_serve(section, fleet=fleet) as server:
        yield server


def work(section: dict[str, Any], fleet: ScriptedFleet, title: str = IMAGE) -> Look:
    """What a worker of the same configuration makes of a job."""
    body = fleet.wait_for(title).body
    parsed = parse_configuration(json.dumps(section), "serve.yml", Path(), {})
    with open_squash_handler(parsed, ClientOptions(), {}, fleet) as handler:
        assert handler is not None
        result = handler(json.loads(json.dumps(dict(body))), SilentObserver(), Cancellation())
    return Look(JobState.DONE, 1, result=json.loads(json.dumps(result)))


def failed(kind: str, fact: str = "no") -> Look:
    error = {"fact": fact, "advice": "do this", "kind": kind, "temporary": False}
    return Look(JobState.FAILED, 1, error=error)


def metric(served: Served, name: str) -> float:
    for line in served.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"there is no {name}")


def status(served: Served) -> dict[str, Any]:
    document: dict[str, Any] = served.get("/api/v1/status").json()
    return document


def until_jobs(served: Served, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 20
    while len(status(served)["jobs"]) != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    jobs: list[dict[str, Any]] = status(served)["jobs"]
    return jobs


def warm(served: Served, image: str = IMAGE) -> None:
    assert served.post("/api/v1/warm", json={"image": image}).status_code == 202


@pytest.mark.parametrize("began", [True, False], ids=["begun here", "begun by another server"])
def test_a_pull_gets_what_a_worker_made(
    upstream: FakeRegistry,
    section: dict[str, Any],
    fleet: ScriptedFleet,
    served: Served,
    *,
    began: bool,
) -> None:
    source = app().push(upstream, "app", "1")
    warm(served)
    fleet.tell(IMAGE, work(section, fleet), began=began)
    until_jobs(served, 0)
    answer = served.manifest("app", "1")
    assert answer.headers["X-Squashproxy-Source-Digest"] == source
    assert [image["image"] for image in status(served)["images"]] == [IMAGE]
    counted = "squashproxy_jobs_total" in served.get("/metrics").text.replace("# ", "#")
    squashed = 'squashproxy_jobs_total{outcome="squashed"}'
    assert counted
    assert (squashed in served.get("/metrics").text) is began, "a job is counted once in all"


def test_the_page_shows_how_far_a_worker_is(
    upstream: FakeRegistry, fleet: ScriptedFleet, served: Served
) -> None:
    app().push(upstream, "app", "1")
    warm(served)
    fleet.wait_for(IMAGE)
    assert until_jobs(served, 1)[0]["state"] == "waiting"
    layer = [1, "layer", 100, 40, None]
    fleet.tell(IMAGE, Look(JobState.RUNNING, 1, progress=[layer], warnings=["it is odd"]))
    job = status(served)["jobs"][0]
    assert (job["state"], job["done_bytes"], job["total_bytes"]) == ("running", 40, 100)
    assert status(served)["errors"][0]["message"] == "it is odd"
    fleet.tell(IMAGE, Look(JobState.QUEUED, 1))
    assert status(served)["jobs"][0]["state"] == "waiting", "its worker is gone"
    fleet.tell(IMAGE, Look(JobState.RUNNING, 2, progress=[[1, "layer", 100, 10, None]]))
    job = status(served)["jobs"][0]
    assert (job["state"], job["done_bytes"], job["total_bytes"]) == ("running", 10, 100)


ENDS = {
    "it failed": (failed("NotFound", "the layer is gone"), "the layer is gone; do this"),
    "it is parked": (
        Look(JobState.PARKED, 3, error={"fact": "three workers died"}),
        f"{IMAGE} is not squashed any more: three workers died",
    ),
    "its result is not readable": (Look(JobState.DONE, 1, result={"x": 1}), "cannot be read"),
}


@pytest.mark.parametrize(("end", "sentence"), ENDS.values(), ids=ENDS)
def test_a_job_that_ends_badly_is_told_of_and_the_original_handed_out(
    upstream: FakeRegistry, fleet: ScriptedFleet, served: Served, end: Look, sentence: str
) -> None:
    source = app().push(upstream, "app", "1")
    warm(served)
    fleet.wait_for(IMAGE)
    fleet.tell(IMAGE, end)
    until_jobs(served, 0)
    assert sentence in status(served)["errors"][0]["message"]
    fleet.submitted.clear()
    assert served.manifest("app", "1").headers["Docker-Content-Digest"] == source
    assert fleet.submitted == {}, "the failure is remembered"


def test_errors_that_last_mean_the_same_from_a_worker() -> None:
    def names(kind: type[SquashproxyError]) -> set[str]:
        return {kind.__name__}.union(*map(names, kind.__subclasses__()))

    for name in set().union(*map(names, _LASTING)):
        error = failure_of(failed(name))
        assert isinstance(error, _LASTING), name
        assert str(error) == "no; do this"


def test_a_worker_that_misses_a_signature_refuses_as_this_server_would() -> None:
    error = failure_of(failed("Unsigned", "/etc/keys/right.pub has not signed it"))
    assert isinstance(error, Unsigned)
    assert "/etc" not in error.reason, "clients are told no names of files"


def test_while_the_broker_is_away_pulls_do_not_wait_and_jobs_are_kept(
    upstream: FakeRegistry, section: dict[str, Any], fleet: ScriptedFleet
) -> None:
    source = app().push(upstream, "app", "1")
    fleet.snapshot_now = None
    section["serve"]["first_pull"] = {"wait": "10m"}
    with run_serve(section, fleet=fleet) as served:
        assert served.manifest("app", "1").headers["Docker-Content-Digest"] == source
        assert metric(served, "squashproxy_fleet_broker_up") == 0
        assert "squashproxy_fleet_queued" not in served.get("/metrics").text
        found = status(served)
        assert found["fleet"]["broker"] == "away"
        assert AWAY in found["fleet"]["away"]
        assert AWAY in found["errors"][0]["message"]
        assert served.get("/readyz").status_code == 200, "it serves what it has"
        assert fleet.joined == []
        fleet.snapshot_now = IDLE
        deadline = time.monotonic() + 20
        while status(served)["fleet"]["broker"] != "up":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert fleet.joined == [{"role": "serve"}]
        assert metric(served, "squashproxy_fleet_broker_up") == 1
        fleet.tell(IMAGE, work(section, fleet))
        until_jobs(served, 0)
        assert "X-Squashproxy-Source-Digest" in served.manifest("app", "1").headers


def test_each_server_shows_what_was_squashed_for_others(
    upstream: FakeRegistry, section: dict[str, Any], fleet: ScriptedFleet
) -> None:
    """Behind a load balancer, the page would else look different each time."""
    app().push(upstream, "app", "1")
    with run_serve(section, fleet=fleet) as served:
        warm(served)
        work(section, fleet)  # the server itself never hears that its job is done
        deadline = time.monotonic() + 20
        while not status(served)["images"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    with run_serve(section, fleet=fleet) as other:
        deadline = time.monotonic() + 20
        while not status(other)["images"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert [image["image"] for image in status(other)["images"]] == [IMAGE]
        assert "squashproxy_saved_bytes_total 0.0" in other.get("/metrics").text


IDLERS: dict[str, tuple[tuple[WorkerView, ...], str]] = {
    "none": ((), "no worker runs"),
    "of another version": (
        (replace(WORKER, version="0.0"),),
        f"no worker of version {VERSION} takes interactive jobs",
    ),
    "of the other queue": (
        (replace(WORKER, queues=(QueueName.BULK,)),),
        f"no worker of version {VERSION} takes interactive jobs",
    ),
}


@pytest.mark.parametrize(("workers", "sentence"), IDLERS.values(), ids=IDLERS)
def test_where_no_worker_takes_jobs_pulls_do_not_wait(
    upstream: FakeRegistry,
    section: dict[str, Any],
    fleet: ScriptedFleet,
    workers: tuple[WorkerView, ...],
    sentence: str,
) -> None:
    source = app().push(upstream, "app", "1")
    fleet.snapshot_now = Snapshot(workers=workers)
    section["serve"]["first_pull"] = {"wait": "10m"}
    with run_serve(section, fleet=fleet) as served:
        deadline = time.monotonic() + 20
        while status(served)["fleet"]["broker"] != "up":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert served.manifest("app", "1").headers["Docker-Content-Digest"] == source
        assert sentence in status(served)["errors"][0]["message"]
        assert len(status(served)["jobs"]) == 1, "it is done when one comes"


def test_with_then_error_a_mirror_is_skipped_while_the_broker_is_away(
    upstream: FakeRegistry, section: dict[str, Any], fleet: ScriptedFleet
) -> None:
    app().push(upstream, "app", "1")
    fleet.snapshot_now = None
    section["serve"]["first_pull"] = {"wait": "10m", "then": "error"}
    with run_serve(section, fleet=fleet) as served:
        assert served.manifest("app", "1").status_code == 503


def test_a_server_that_stops_leaves_its_jobs_to_the_fleet(
    upstream: FakeRegistry, section: dict[str, Any], fleet: ScriptedFleet
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(section, fleet=fleet) as served:
        warm(served)
        fleet.wait_for(IMAGE)
        assert fleet.is_started
    assert fleet.is_closed
    fleet.tell(IMAGE, failed("NotFound"))  # nobody hears it, and nothing breaks


REFUSALS: dict[str, SquashproxyError] = {
    "a wrong password": BrokerRefused("the broker does not accept the password"),
    "another configuration": ForeignFleet("the queue belongs to another configuration"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_fleet_that_will_not_have_the_server_is_told_at_once(
    section: dict[str, Any], fleet: ScriptedFleet, refusal: SquashproxyError
) -> None:
    fleet = replace(fleet, refusal=refusal)
    with (
        pytest.raises(type(refusal), match=refusal.fact),
        run_serve(section, fleet=fleet),
    ):
        pass


def test_a_caller_s_login_stays_in_this_process(
    upstream: FakeRegistry, section: dict[str, Any], fleet: ScriptedFleet
) -> None:
    app().push(upstream, "app", "1")
    app("other").push(upstream, "other", "1")
    section["serve"]["auth"] = "upstream"
    section["serve"]["first_pull"] = {"wait": "200ms"}
    with run_serve(section, fleet=fleet) as served:
        deadline = time.monotonic() + 20
        own = {"X-Squashproxy-Source": "original"}
        while own["X-Squashproxy-Source"] == "original":
            assert time.monotonic() < deadline
            own = dict(served.manifest("app", "1", auth=("bob", "secret")).headers)
        assert fleet.submitted == {}
        anonymous = served.manifest("other", "1")
        assert anonymous.headers["X-Squashproxy-Source"] == "original"
        request = fleet.wait_for(f"{UP}/other:1")
        assert request.body["access"] == "anonymous"
        assert "secret" not in str(request)
