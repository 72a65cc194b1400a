"""A pull never waits longer than `first_pull.wait`, and squashing never makes one fail."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from squashproxy.server.jobs.jobs import Jobs
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.server.serving import UP, Served, app, run_serve, settings

SOON = {"first_pull": {"wait": "300ms"}}


def wait_for_squashed(served: Served, repo: str = "app", tag: str = "1") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if "X-Squashproxy-Source-Digest" in served.manifest(repo, tag).headers:
            return
        time.sleep(0.02)
    raise AssertionError("the image is never squashed")


def test_after_the_wait_the_original_is_handed_out_while_the_job_goes_on(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    source = app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
    with run_serve(settings(upstream, tmp_path, **SOON)) as served:
        began = time.monotonic()
        first = served.manifest("app", "1")
        waited = time.monotonic() - began
        assert first.headers["Docker-Content-Digest"] == source
        assert first.headers["X-Squashproxy-Source"] == "original"
        assert 0.3 <= waited < 5
        hang.release()
        wait_for_squashed(served)


def test_a_job_is_waited_for_once(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients ask twice, by HEAD and by GET: the wait counts from the job's beginning."""
    defaults = Jobs.__init__.__kwdefaults__
    assert defaults is not None, "the clock is a keyword"
    monkeypatch.setitem(defaults, "ticks", lambda: time.monotonic() - 600)
    source = app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
    with run_serve(settings(upstream, tmp_path, first_pull={"wait": "10m"})) as served:
        answer = served.manifest("app", "1")
        assert answer.headers["Docker-Content-Digest"] == source
        hang.release()


def test_with_then_error_a_mirror_is_skipped(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
    first_pull = {"wait": "200ms", "then": "error"}
    with run_serve(settings(upstream, tmp_path, first_pull=first_pull)) as served:
        answer = served.manifest("app", "1")
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert int(answer.headers["Retry-After"]) > 0
        hang.release()
        deadline = time.monotonic() + 20
        while served.manifest("app", "1").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_two_hundred_clients_one_fetch_one_job(upstream: FakeRegistry, tmp_path: Path) -> None:
    source = app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        barrier = threading.Barrier(200)

        def pull(_: int) -> tuple[int, str]:
            barrier.wait()
            answer = requests.get(f"{served.url}/v2/{UP}/app/manifests/1", timeout=60)
            return answer.status_code, answer.headers["Docker-Content-Digest"]

        with ThreadPoolExecutor(200) as pool:
            answers = set(pool.map(pull, range(200)))
        assert len(answers) == 1
        assert answers.pop()[0] == 200
        metrics = served.get("/metrics").text
    exchanges = [(exchange.method, exchange.path) for exchange in upstream.requests]
    assert len(exchanges) == len(set(exchanges)), "nothing is asked twice"
    assert ("HEAD", "/v2/app/manifests/1") in exchanges
    assert ("GET", f"/v2/app/manifests/{source}") in exchanges
    assert 'squashproxy_jobs_total{outcome="squashed"} 1.0' in metrics


def test_fifty_clients_of_an_original_blob_are_one_fetch(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 8192
    digest = upstream.put_blob("app", data)
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=500_000))
    with run_serve(settings(upstream, tmp_path)) as served, ThreadPoolExecutor(50) as pool:
        bodies = [pool.submit(lambda: served.blob("app", digest).content) for _ in range(50)]
        assert hang.reached.wait(10)
        time.sleep(0.2)
        hang.release()
        assert all(body.result() == data for body in bodies)
    gets = [exchange for exchange in upstream.requests if exchange.method == "GET"]
    assert len(gets) == 1


def test_the_job_outlives_a_client_that_leaves(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
    with run_serve(settings(upstream, tmp_path)) as served:
        host, port = served.host.split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"GET /v2/{UP}/app/manifests/1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert hang.reached.wait(10)
        hang.release()
        wait_for_squashed(served)
    assert sum(exchange.method == "HEAD" for exchange in upstream.requests) == 1


BROKEN = {
    "a layer that lies": Fault("GET", "/blobs/", FaultKind.CORRUPT, after_bytes=30, times=100),
    "a layer cut short": Fault("GET", "/blobs/", FaultKind.CUT, after_bytes=0, times=100),
    "a config that is gone": Fault("GET", "/blobs/", FaultKind.ANSWER, status=404, times=100),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_squashed_is_handed_out_as_it_is(
    upstream: FakeRegistry, tmp_path: Path, fault: Fault
) -> None:
    source = app().push(upstream, "app", "1")
    upstream.arm(fault)
    with run_serve(settings(upstream, tmp_path)) as served:
        for _ in range(2):
            answer = served.manifest("app", "1")
            assert answer.headers["Docker-Content-Digest"] == source
        errors = served.get("/api/v1/status").json()["errors"]
        assert errors[0]["image"] == f"{UP}/app:1"
        assert 'outcome="failed"} 1.0' in served.get("/metrics").text, "it is remembered"


def test_a_rule_may_leave_images_alone(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    source = app("other").push(upstream, "other/app", "1")
    rules = [{"match": f"{UP}/other/*", "squash": False}, {"match": "*", "base": "none"}]
    with run_serve(settings(upstream, tmp_path, rules=rules)) as served:
        assert served.manifest("other/app", "1").headers["Docker-Content-Digest"] == source
        assert len(served.manifest("app", "1").json()["layers"]) == 1


def test_a_limit_hands_out_the_original(upstream: FakeRegistry, tmp_path: Path) -> None:
    source = app(size=100_000).push(upstream, "app", "1")
    limits = {"max_unpacked": "100k"}
    with run_serve(settings(upstream, tmp_path, limits=limits)) as served:
        assert served.manifest("app", "1").headers["Docker-Content-Digest"] == source
