"""Estimates (`dry_run`): one reading for all who ask at once, and none for nobody."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from squashproxy.server.pull import estimates
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.server.serving import UP, Served, app, run_serve, settings


def blobs_read(upstream: FakeRegistry) -> int:
    return sum("/blobs/" in one.path and one.method == "GET" for one in upstream.requests)


def ask(served: Served, name: str = "app") -> socket.socket:
    """A client that asked for an estimate, and reads nothing."""
    host, port = served.host.split(":")
    body = json.dumps({"image": f"{UP}/{name}:1", "dry_run": True}).encode()
    client = socket.create_connection((host, int(port)), timeout=20)
    head = f"POST /api/v1/warm HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall(head.replace("Host: x", "Host: localhost").encode() + body)
    return client


def test_twenty_who_ask_at_once_share_one_reading(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG))
        with ThreadPoolExecutor(20) as pool:
            body = {"image": f"{UP}/app:1", "dry_run": True}
            asked = [pool.submit(served.post, "/api/v1/warm", json=body) for _ in range(20)]
            assert hang.reached.wait(20)
            hang.release()
            answers = {each.result().text for each in asked}
        assert len(answers) == 1
        once = blobs_read(upstream)
        upstream.forget_requests()
        served.post("/api/v1/warm", json={"image": f"{UP}/app:1", "dry_run": True})
        assert once <= 2 * max(1, blobs_read(upstream))


def test_a_reading_ends_when_nobody_waits_any_more(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next estimate need not wait for it, and what was not read yet is never asked for."""
    monkeypatch.setattr("squashproxy.server.api.control._LOOK_SECONDS", 0.02)
    given_up = threading.Event()
    give_up = estimates.Estimates._give_up

    def tell(*arguments: object) -> None:
        give_up(*arguments)  # type: ignore[arg-type]
        given_up.set()

    monkeypatch.setattr(estimates.Estimates, "_give_up", tell)
    app(layers=6).push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
        clients = [ask(served) for _ in range(20)]
        assert hang.reached.wait(20)
        for client in clients:
            client.close()
        assert given_up.wait(20)
        before = blobs_read(upstream)
        hang.release()
        answer = served.post("/api/v1/warm", json={"image": f"{UP}/app:1", "dry_run": True})
        assert answer.json()["state"] == "estimate"
        assert before <= 6


def test_few_estimates_wait_at_a_time(upstream: FakeRegistry, tmp_path: Path) -> None:
    names = [f"app{number}" for number in range(9)]
    for name in names:
        app(name).push(upstream, name, "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=100))
        clients = [ask(served, name) for name in names[:8]]
        deadline = time.monotonic() + 20
        while sum(one.method == "HEAD" for one in upstream.requests) < 8:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert hang.reached.wait(20)
        refused = served.post("/api/v1/warm", json={"image": f"{UP}/{names[8]}:1", "dry_run": True})
        assert refused.status_code == 429
        hang.release()
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
