"""How long a resolved tag is trusted, and what is answered while upstream is down."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from squashproxy.errors import SquashproxyError
from squashproxy.server.store.base import KnownTag
from squashproxy.server.upstream import tags
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.server.serving import UP, app, run_serve, settings

_LATER = 3600.0
"""Seconds after which no answer holds any more."""


class Clock:
    """The clock of the tags."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    defaults = tags.TagResolver.__init__.__kwdefaults__
    assert defaults is not None, "the clock is a keyword"
    monkeypatch.setitem(defaults, "clock", clock)
    monkeypatch.setitem(defaults, "ticks", clock)
    return clock


def heads(upstream: FakeRegistry) -> int:
    return sum(exchange.method == "HEAD" for exchange in upstream.requests)


def test_a_tag_is_trusted_for_its_time_and_then_asked_by_head(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        served.manifest("app", "1")
        upstream.forget_requests()
        served.manifest("app", "1")
        assert heads(upstream) == 0
        clock.advance(_LATER)
        served.manifest("app", "1")
        assert [exchange.method for exchange in upstream.requests] == ["HEAD"]


def test_a_tag_that_moved_is_squashed_anew_and_the_old_digest_stays(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock
) -> None:
    app("old").push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        old = served.manifest("app", "1").headers["Docker-Content-Digest"]
        app("new").push(upstream, "app", "1")
        clock.advance(_LATER)
        new = served.manifest("app", "1").headers["Docker-Content-Digest"]
        assert new != old
        kept = served.manifest("app", old)
        assert kept.headers["X-Squashproxy-Source"] == "cached"
        for layer in kept.json()["layers"]:
            assert served.blob("app", layer["digest"]).status_code == 200


def test_the_store_s_names_follow_a_tag_that_moves_back(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock
) -> None:
    def named() -> str:
        [entry] = json.loads((tmp_path / "store" / "index.json").read_text())["manifests"]
        return str(entry["digest"])

    with run_serve(settings(upstream, tmp_path)) as served:
        for seed in ("one", "two", "one"):
            app(seed).push(upstream, "app", "1")
            clock.advance(_LATER)
            digest = served.manifest("app", "1").headers["Docker-Content-Digest"]
            assert named() == digest


SILENCE = {
    "a server that is broken": Fault("HEAD", "manifests", status=500, times=100),
    "too many requests": Fault(
        "HEAD", "manifests", status=429, headers=(("Retry-After", "60"),), times=100
    ),
    "credentials that ended": Fault("HEAD", "manifests", status=403, times=100),
    "a connection that breaks": Fault("HEAD", "manifests", FaultKind.DROP, times=100),
}


@pytest.mark.parametrize("fault", SILENCE.values(), ids=SILENCE)
def test_the_last_known_image_is_served_where_upstream_gives_none(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock, fault: Fault
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        known = served.manifest("app", "1")
        upstream.arm(fault)
        clock.advance(_LATER)
        stale = served.manifest("app", "1")
        assert (stale.status_code, stale.content) == (200, known.content)
        assert 'squashproxy_stale_total{upstream="up.example"} 1.0' in served.get("/metrics").text


def test_an_upstream_that_says_nothing_is_not_waited_for(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "PATIENCE", 0.5)
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        known = served.manifest("app", "1")
        hang = upstream.arm(Fault("HEAD", "manifests", FaultKind.HANG, times=100))
        clock.advance(_LATER)
        began = time.monotonic()
        assert served.manifest("app", "1").content == known.content
        assert served.manifest("other", "1").status_code == 503
        assert time.monotonic() - began < 8
        hang.release()


def test_a_tag_that_was_deleted_is_served_from_memory(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock
) -> None:
    app().push(upstream, "app", "1")
    gone = Fault("*", "manifests/1", status=404, times=100)
    with run_serve(settings(upstream, tmp_path)) as served:
        served.manifest("app", "1")
        upstream.arm(gone)
        clock.advance(_LATER)
        assert served.manifest("app", "1").status_code == 200
    section = settings(upstream, tmp_path)
    section["serve"]["upstreams"][UP]["stale"] = False
    with run_serve(section) as served:
        assert served.manifest("app", "1").status_code == 404


def test_after_a_restart_a_dead_upstream_still_has_its_last_word(tmp_path: Path) -> None:
    with FakeRegistry() as upstream:
        app().push(upstream, "app", "1")
        with run_serve(settings(upstream, tmp_path)) as served:
            known = served.manifest("app", "1")
        url = upstream.url
    with run_serve(settings(url, tmp_path)) as served:
        answer = served.manifest("app", "1")
        assert (answer.status_code, answer.content) == (200, known.content)
        for layer in answer.json()["layers"]:
            assert served.blob("app", layer["digest"]).status_code == 200
        state = served.get("/api/v1/status").json()["upstreams"][0]["state"]
        assert state == "down"


def test_what_is_not_there_is_remembered_briefly(
    upstream: FakeRegistry, tmp_path: Path, clock: Clock
) -> None:
    with run_serve(settings(upstream, tmp_path)) as served:
        assert served.manifest("app", "1").status_code == 404
        upstream.forget_requests()
        assert served.manifest("app", "1").status_code == 404
        assert upstream.requests == ()
        app().push(upstream, "app", "1")
        clock.advance(_LATER)
        assert served.manifest("app", "1").status_code == 200


@pytest.mark.parametrize("value", ["1000000000", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_without_end_is_cut_to_five_minutes(
    upstream: FakeRegistry, tmp_path: Path, value: str
) -> None:
    """A wait longer than five minutes is cut to that, for requests and for clients."""
    app().push(upstream, "app", "1")
    upstream.arm(Fault("*", "manifests", status=429, headers=(("Retry-After", value),)))
    with run_serve(settings(upstream, tmp_path)) as served:
        first = served.manifest("app", "1")
        assert first.status_code == 429
        assert int(first.headers["Retry-After"]) == 300
        state = served.get("/api/v1/status").json()["upstreams"][0]
        assert time.time() < state["until"] <= time.time() + 300


def test_an_upstream_is_not_asked_until_its_retry_after_is_over(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """Retry-After is obeyed for everything that is asked of it, and handed on."""
    app().push(upstream, "app", "1")
    upstream.arm(Fault("*", "manifests", status=429, headers=(("Retry-After", "60"),)))
    with run_serve(settings(upstream, tmp_path)) as served:
        began = time.monotonic()
        first = served.manifest("app", "1")
        assert (first.status_code, first.json()["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
        assert 50 <= int(first.headers["Retry-After"]) <= 60
        assert time.monotonic() - began < 5
        upstream.forget_requests()
        second = served.manifest("app", "2")
        assert second.status_code == 429
        assert upstream.requests == ()
        state = served.get("/api/v1/status").json()["upstreams"][0]
        assert state["state"] == "throttled"
        assert state["until"] > time.time()


def test_a_dead_upstream_of_which_nothing_is_known(tmp_path: Path) -> None:
    with FakeRegistry() as upstream:
        url = upstream.url
    with run_serve(settings(url, tmp_path)) as served:
        answer = served.manifest("app", "1")
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert "Retry-After" in answer.headers


def test_tags_that_do_not_exist_cost_a_head_and_little_memory(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors are kept without the frames and causes of those who met them."""
    kept: list[SquashproxyError] = []
    honest = tags._Entry

    def entry(
        until: float, known: KnownTag | None = None, error: SquashproxyError | None = None
    ) -> tags._Entry:
        if error is not None:
            kept.append(error)
        return honest(until, known, error)

    monkeypatch.setattr(tags, "_Entry", entry)
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        served.manifest("app", "1")
        upstream.forget_requests()
        for number in range(50):
            assert served.manifest("app", f"no-{number % 25}").status_code == 404
        methods = [exchange.method for exchange in upstream.requests]
        assert methods == ["HEAD"] * 25
        assert len(kept) == 25
        for error in kept:
            assert (error.__traceback__, error.__cause__, error.__context__) == (None,) * 3


def test_a_registry_that_lies_to_heads_is_asked_by_get(tmp_path: Path) -> None:
    """Nexus answers 404 to HEAD for what it has."""
    with FakeRegistry(RegistryOptions(head_manifests=False)) as upstream:
        app().push(upstream, "app", "1")
        with run_serve(settings(upstream, tmp_path, negative_ttl="0s")) as served:
            assert served.manifest("app", "none").status_code == 404
            assert served.manifest("app", "1").status_code == 200
