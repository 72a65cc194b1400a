"""Upstreams that send a few bytes a second: they hold up neither the others nor a stop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cancellation import Cancellation
from squashproxy.digest import digest_of
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Observer
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import ANYONE
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.jobs.job import SquashOrder
from squashproxy.server.jobs.jobs import JobIdle, JobLimits, Jobs
from squashproxy.server.jobs.place import Here
from squashproxy.server.store.base import SquashKey, SquashRecord
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.registry.scripted import sending
from tests.server.pull.test_estimates import ask as ask_estimate
from tests.server.serving import UP, Served, app, run_serve, settings

OTHER = "other.example"


@contextmanager
def trickling(upstream: FakeRegistry) -> Iterator[threading.Semaphore]:
    """Let the upstream's blobs come a byte at a time; counts those that have begun."""
    begun = threading.Semaphore(0)
    is_over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        begun.release()
        while not is_over.wait(0.05):
            connection.sendall(b"x")

    with sending(trickle) as slow:
        headers = (("Location", f"http://{slow}/blob"),)
        upstream.arm(Fault("GET", "/blobs/", status=307, headers=headers, times=1000))
        try:
            yield begun
        finally:
            is_over.set()


def ask(served: Served, path: str) -> socket.socket:
    host, port = served.host.split(":")
    client = socket.create_connection((host, int(port)), timeout=20)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def test_a_stop_does_not_wait_for_an_upstream_that_trickles(
    upstream: FakeRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a pull, a job and an estimate; all threads end, and no file stays open."""
    app().push(upstream, "app", "1")
    app("two").push(upstream, "two", "1")
    blob = upstream.put_blob("app", b"y" * 1_000_000)
    section = settings(upstream, tmp_path, drain="0s")
    with trickling(upstream) as begun, run_serve(section) as served:
        served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
        assert begun.acquire(timeout=20)
        with ask(served, f"/v2/{UP}/app/blobs/{blob}"), ask_estimate(served, "two"):
            assert begun.acquire(timeout=20)
            assert begun.acquire(timeout=20)
    assert not [text for text in caplog.messages if "did not end" in text]


@pytest.fixture
def other() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def both(upstream: FakeRegistry, other: FakeRegistry, folder: Path, **more: Any) -> dict[str, Any]:
    section = settings(upstream, folder, **more)
    section["serve"]["upstreams"][OTHER] = {"url": other.url}
    return section


def test_blobs_that_trickle_leave_threads_to_the_other_upstreams(
    upstream: FakeRegistry, other: FakeRegistry, tmp_path: Path
) -> None:
    blobs = [upstream.put_blob("app", bytes([number]) * 1_000_000) for number in range(34)]
    there = other.put_blob("app", b"there")
    with trickling(upstream) as begun, run_serve(both(upstream, other, tmp_path)) as served:
        clients = [ask(served, f"/v2/{UP}/app/blobs/{blob}") for blob in blobs]
        for _ in range(16):
            assert begun.acquire(timeout=20)
        answer = served.get(f"/v2/{OTHER}/app/blobs/{there}")
        assert answer.content == b"there"
        for client in clients:
            client.close()


def test_jobs_that_trickle_leave_a_place_to_the_other_upstreams(
    upstream: FakeRegistry, other: FakeRegistry, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        app(name).push(upstream, name, "1")
    app("other").push(other, "app", "1")
    section = both(upstream, other, tmp_path)
    section["engine"] = {"jobs": 2}
    with trickling(upstream) as begun, run_serve(section) as served:
        for name in ("one", "two", "three"):
            served.post("/api/v1/warm", json={"image": f"{UP}/{name}:1"})
        assert begun.acquire(timeout=20)
        answer = served.get(f"/v2/{OTHER}/app/manifests/1")
        assert answer.headers["X-Squashproxy-Source"] == "squashed"


def test_one_upstream_alone_may_use_all_places(upstream: FakeRegistry, tmp_path: Path) -> None:
    for name in ("one", "two"):
        app(name).push(upstream, name, "1")
    section = settings(upstream, tmp_path)
    section["engine"] = {"jobs": 2}
    hang = upstream.arm(Fault("GET", "one/blobs/", FaultKind.HANG, times=100))
    with run_serve(section) as served:
        served.post("/api/v1/warm", json={"image": f"{UP}/one:1"})
        assert hang.reached.wait(20)
        assert served.manifest("two", "1").headers["X-Squashproxy-Source"] == "squashed"
        hang.release()


def order_of(name: str) -> SquashOrder:
    key = SquashKey(Repository(UP, name), digest_of(name.encode()), "o")
    return SquashOrder(key, name, ANYONE, CopyOptions())


JUMPS = {"stands": 0.0, "is set forward": 1e6, "is set back": -1e6}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=[f"the clock {name}" for name in JUMPS])
def test_a_job_without_progress_is_given_up(jump: float) -> None:
    """It is cancelled, its place is free again, and its failure is told: all by the same time."""
    now = [1000.0]
    clock = [1.7e9]
    is_running = threading.Event()

    def stall(observer: Observer, cancellation: Cancellation) -> None:
        observer.start("layer", 10).advance(1)
        is_running.set()
        while True:
            cancellation.check()
            threading.Event().wait(0.01)

    def squash(order: SquashOrder, observer: Observer, cancellation: Cancellation) -> SquashRecord:
        if order.image == "one":
            stall(observer, cancellation)
        digest = digest_of(b"")
        return SquashRecord("i", digest, digest, 1.0, 1.0, (), 1, 1, 1, 1, 0)

    async def run() -> None:
        limits = JobLimits(running=1, waiting=5, negative_ttl=30.0, idle=60.0)
        here = Here(squash, 1, clock=lambda: clock[0])
        jobs = Jobs(limits, [here], lambda *_: None, clock=lambda: clock[0], ticks=lambda: now[0])
        stalled = jobs.join(order_of("one"), lambda _: None)
        waiting = jobs.join(order_of("two"), lambda _: None)
        assert await asyncio.to_thread(is_running.wait, 20)
        now[0] += 59
        clock[0] += jump
        jobs.end_idle()
        assert not stalled.cancellation.is_cancelled
        now[0] += 2
        jobs.end_idle()
        with pytest.raises(JobIdle, match="nothing of it came for 60 s"):
            await stalled.result
        assert (await waiting.result).image == "i"
        with pytest.raises(JobIdle):
            jobs.join(order_of("one"), lambda _: None)
        await jobs.close(10)

    asyncio.run(run())


def test_threads_of_one_owner_are_not_those_of_another() -> None:
    go = threading.Event()

    async def run() -> None:
        threads = SharedThreads(1, "squashproxy-test")
        stuck = threads.of("a").begin(go.wait, 20)
        assert await threads.of("b").run(lambda: 1) == 1
        go.set()
        assert await stuck
        assert await threads.close(10)

    asyncio.run(run())
