"""A registry as the store: the map is in its tags, and replicas hold nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from squashproxy.testing import FakeRegistry, Fault
from tests.server.serving import ACCEPT, UP, Served, app, run_serve, settings


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def backing() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def section(upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path) -> dict[str, object]:
    return settings(upstream, tmp_path, store={"registry": f"{backing.host}/cache"})


def pull_all(served: Served, repo: str = "app") -> bytes:
    manifest = served.manifest(repo, "1")
    assert manifest.status_code == 200
    for part in (manifest.json()["config"], *manifest.json()["layers"]):
        answer = served.blob(repo, part["digest"])
        assert len(answer.content) == part["size"]
    return manifest.content


def test_what_one_replica_squashed_another_hands_out(
    upstream: FakeRegistry, backing: FakeRegistry, section: dict[str, object]
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(section) as one, run_serve(section) as two:
        first = pull_all(one)
        upstream.forget_requests()
        assert pull_all(two) == first
        assert [exchange.method for exchange in upstream.requests] == ["HEAD"]
    tags = backing.tags(f"cache/{UP}/app")
    assert len(tags) == 2
    assert "1" in tags
    assert len(set(tags.values())) == 1


def test_the_digests_are_those_of_a_directory(
    upstream: FakeRegistry, section: dict[str, object], tmp_path: Path
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(section) as one, run_serve(settings(upstream, tmp_path)) as two:
        assert pull_all(one) == pull_all(two)


def test_an_original_blob_is_kept_in_the_registry(
    upstream: FakeRegistry, backing: FakeRegistry, section: dict[str, object]
) -> None:
    digest = upstream.put_blob("app", b"content" * 1000)
    with run_serve(section) as served:
        assert served.blob("app", digest).content == b"content" * 1000
        deadline = time.monotonic() + 10
        while digest not in backing.blobs(f"cache/{UP}/app"):
            assert time.monotonic() < deadline, "it is never kept"
            time.sleep(0.01)
        part = served.blob("app", digest, headers={"Range": "bytes=7-13"})
        assert part.content == b"content"


def test_a_dead_upstream_has_its_last_word_after_a_restart(
    backing: FakeRegistry, tmp_path: Path
) -> None:
    store = {"registry": f"{backing.host}/cache"}
    with FakeRegistry() as upstream:
        app().push(upstream, "app", "1")
        dead = settings(upstream, tmp_path, store=store)
        with run_serve(dead) as served:
            known = pull_all(served)
    with run_serve(dead) as served:
        assert pull_all(served) == known


def test_a_store_that_is_down_stops_no_pull(
    upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path
) -> None:
    store = {"registry": f"{backing.host}/cache"}
    configuration = settings(upstream, tmp_path, store=store, first_pull={"wait": "1s"})
    source = app().push(upstream, "app", "1")
    backing.arm(Fault("*", "/v2/", status=503, times=10_000))
    with run_serve(configuration) as served:
        answer = served.manifest("app", "1")
        assert answer.headers["Docker-Content-Digest"] == source
        for layer in answer.json()["layers"]:
            assert served.blob("app", layer["digest"]).status_code == 200
        assert served.get("/readyz").status_code == 503


def test_many_pulls_at_once_ask_the_store_as_often_as_one(
    upstream: FakeRegistry, backing: FakeRegistry, section: dict[str, object]
) -> None:
    """Registries keep manifests in files, and may fail to read what somebody writes meanwhile."""
    app().push(upstream, "app", "1")
    with run_serve(section) as served, ThreadPoolExecutor(20) as pool:
        barrier = threading.Barrier(20)

        def pull(_: int) -> int:
            barrier.wait()
            url = f"{served.url}/v2/{UP}/app/manifests/1"
            return requests.get(url, headers=ACCEPT, timeout=60).status_code

        assert set(pool.map(pull, range(20))) == {200}
    asked = Counter(f"{each.method} {each.path}" for each in backing.requests)
    manifests = {what: count for what, count in asked.items() if "/manifests/" in what}
    assert manifests, "it was asked"
    assert [what for what in manifests if what.endswith("/manifests/1") and "PUT" in what]
    assert max(manifests.values()) == 2, "once for the pulls, and once for the job or the tag"
