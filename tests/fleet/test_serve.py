"""Several servers over one registry, real workers, and a broker between them that may be away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.fleet.redis_server import RedisServer
from tests.fleet.serving import ServingWorker, World, metric, squashed_count, until_squashed
from tests.server.serving import ACCEPT, UP, app

pytestmark = pytest.mark.real

SOON = {"first_pull": {"wait": "300ms"}}


@pytest.fixture(scope="module")
def world(shared_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FakeRegistry() as upstream, FakeRegistry() as store:
        yield World(shared_server, upstream, store, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def worker(world: World) -> Iterator[ServingWorker]:
    """A worker for all tests of the file."""
    with world.worker() as running:
        yield running


@pytest.mark.usefixtures("worker")
def test_three_servers_squash_an_image_once_that_all_are_asked_for_at_once(world: World) -> None:
    source = app("once").push(world.upstream, "once", "1")
    world.upstream.forget_requests()
    with ExitStack() as stack:
        servers = [stack.enter_context(world.server()) for _ in range(3)]
        barrier = threading.Barrier(30)

        def pull(number: int) -> tuple[int, str, str]:
            url = f"{servers[number % 3].url}/v2/{UP}/once/manifests/1"
            barrier.wait()
            answer = requests.get(url, headers=ACCEPT, timeout=60)
            headers = answer.headers
            return (
                answer.status_code,
                headers["Docker-Content-Digest"],
                headers.get("X-Squashproxy-Source-Digest", ""),
            )

        with ThreadPoolExecutor(30) as pool:
            answers = set(pool.map(pull, range(30)))
        assert len(answers) == 1
        status, _, made_from = answers.pop()
        assert (status, made_from) == (200, source)
        assert sum(map(squashed_count, servers)) == 1, "one of them counts it"
        assert metric(servers[0], "squashproxy_fleet_workers") == 1
    blobs = [asked.path for asked in world.upstream.requests if "/blobs/" in asked.path]
    assert len(blobs) == len(set(blobs)), "nothing was fetched twice"


@pytest.mark.usefixtures("worker")
def test_a_server_that_ends_leaves_its_job_to_the_next_one_that_is_asked(world: World) -> None:
    app("left").push(world.upstream, "left", "1")
    before = world.snapshot().deliveries
    hang = world.upstream.arm(Fault("GET", "left/blobs/", FaultKind.HANG, times=99))
    with world.server(**SOON) as first:
        assert first.manifest("left", "1").headers["X-Squashproxy-Source"] == "original"
        assert hang.reached.wait(20)
    with world.server() as second:
        release = threading.Timer(0.3, hang.release)
        release.start()
        answer = second.manifest("left", "1")
        assert answer.headers["X-Squashproxy-Source"] == "squashed"
        release.join()
    assert world.snapshot().deliveries == before + 1, "it was one job"


@pytest.mark.usefixtures("worker")
def test_while_the_broker_is_away_a_server_serves_what_it_has_and_loses_nothing(
    world: World,
) -> None:
    for name in ("known", "new", "newer"):
        app(name).push(world.upstream, name, "1")
    with world.server(first_pull={"wait": "10m"}) as served:
        until_squashed(served, "known")
        world.broker.stop()
        deadline = time.monotonic() + 30
        while metric(served, "squashproxy_fleet_broker_up"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert served.manifest("known", "1").headers["X-Squashproxy-Source"] == "cached"
        for name in ("new", "newer"):
            assert served.manifest(name, "1").headers["X-Squashproxy-Source"] == "original"
        found = served.get("/api/v1/status").json()
        assert found["fleet"]["broker"] == "away"
        assert "cannot be reached" in found["errors"][0]["message"]
        world.broker.start()
        deadline = time.monotonic() + 60
        while squashed_count(served) < 3:
            assert time.monotonic() < deadline, served.get("/api/v1/status").json()
            time.sleep(0.05)
        assert metric(served, "squashproxy_fleet_broker_up") == 1
        for name in ("known", "new", "newer"):
            assert served.manifest(name, "1").headers["X-Squashproxy-Source"] == "cached"


def test_a_worker_that_is_killed_holds_up_no_pull_and_another_one_finishes(
    world: World, worker: ServingWorker
) -> None:
    source = app("killed").push(world.upstream, "killed", "1")
    hang = world.upstream.arm(Fault("GET", "killed/blobs/", FaultKind.HANG, times=1))
    with world.server(**SOON) as served:
        answer = served.manifest("killed", "1")
        assert answer.headers["Docker-Content-Digest"] == source
        assert hang.reached.wait(20)
        with world.worker():
            worker.kill()
            until_squashed(served, "killed")
        hang.release()
        assert metric(served, "squashproxy_fleet_parked") == 0
    found = world.snapshot()
    assert found.redeliveries >= 1
