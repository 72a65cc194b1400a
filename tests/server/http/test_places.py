"""Connections on which nobody speaks, and bodies that never end, keep nobody out."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from squashproxy.server.http import places, slow_readers
from squashproxy.testing import FakeRegistry
from tests.server.leftovers import connections_at
from tests.server.serving import UP, Served, app, run_serve, settings

_RESERVE = 16


@contextmanager
def silent(served: Served, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that send this and no more."""
    host, port = served.host.split(":")
    with ExitStack() as opened:
        clients = []
        for _ in range(count):
            client = opened.enter_context(socket.create_connection((host, int(port)), timeout=20))
            client.sendall(sent)
            clients.append(client)
        yield clients


def status(served: Served, path: str) -> int:
    """The status of an answer on a connection of its own."""
    with requests.Session() as session:
        return session.get(f"{served.url}{path}", timeout=20).status_code


def wait_for(log: Path, word: bytes) -> None:
    deadline = time.monotonic() + 30
    while word not in log.read_bytes():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


HALF = b"POST /api/v1/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


def test_unfinished_bodies_do_not_keep_probes_out(upstream: FakeRegistry, tmp_path: Path) -> None:
    limits = {"connections": 5}
    with (
        run_serve(settings(upstream, tmp_path, limits=limits)) as served,
        silent(served, 5, HALF) as clients,
    ):
        for _ in range(3):
            assert status(served, "/healthz") == 200
            assert status(served, "/readyz") == 200
            assert status(served, "/v2/") == 503
        del clients


def test_a_body_has_a_deadline(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("squashproxy.server.http.request_body._SECONDS", 0.05)
    with (
        run_serve(settings(upstream, tmp_path, limits={"connections": 5})) as served,
        silent(served, 5, HALF) as clients,
    ):
        for client in clients:
            assert client.recv(100).startswith(b"HTTP/1.1 408")
            while client.recv(1000):
                pass
        assert status(served, "/v2/") == 200


SILENCE = {
    "nothing": b"",
    "half a line": b"GET /healthz HT",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ",
}


@pytest.mark.parametrize("sent", SILENCE.values(), ids=SILENCE)
def test_silent_connections_take_no_more_than_the_limit(
    upstream: FakeRegistry, tmp_path: Path, sent: bytes
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, limits={"connections": 50})) as served:
        port = int(served.host.rpartition(":")[2])
        with silent(served, 500, sent):
            assert status(served, "/healthz") == 200
            wait_for_at_most(50 + _RESERVE, port)
            assert status(served, "/v2/") == 503


def wait_for_at_most(most: int, port: int) -> None:
    """A connection is accepted before it can be closed, and the system hands over some late."""
    end = time.monotonic() + 5
    while connections_at(port) > most:
        assert time.monotonic() < end, f"{connections_at(port)} connections are open"
        time.sleep(0.01)


def test_a_new_connection_takes_the_place_of_a_silent_one(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as the silence has lasted longer than a client needs."""
    app().push(upstream, "app", "1")
    with (
        run_serve(settings(upstream, tmp_path, limits={"connections": 5})) as served,
        silent(served, 5),
    ):
        assert status(served, "/v2/") == 503
        monkeypatch.setattr(places, "_PATIENCE", 0.0)
        assert status(served, f"/v2/{UP}/app/manifests/1") == 200


def test_a_connection_on_which_nothing_is_asked_is_closed(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_FIRST_REQUEST_SECONDS", 0.05)
    with run_serve(settings(upstream, tmp_path)) as served, silent(served, 3) as clients:
        for client in clients:
            assert client.recv(1) == b""
        assert status(served, "/v2/") == 200


def test_a_connection_that_is_being_answered_is_never_cut(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        run_serve(settings(upstream, tmp_path, limits={"connections": 2})) as served,
        silent(served, 2, HALF) as busy,
    ):
        assert status(served, "/v2/") == 503
        monkeypatch.setattr(places, "_PATIENCE", 0.0)
        with silent(served, 100):
            assert status(served, "/healthz") == 200
        for client in busy:
            client.sendall(b"}" + b" " * 98)
            assert client.recv(100).startswith(b"HTTP/1.1 400")


_SIP = 1 << 16
"""Bytes: even a fast client has not read the whole blob in 15 s of sips."""


@pytest.mark.parametrize("kind", ["of the store", "past the store"])
def test_clients_that_do_not_read_keep_nobody_out(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """They give way as soon as somebody needs their place; one that reads slowly does not."""
    monkeypatch.setattr(places, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(slow_readers, "_SECONDS", 0.5)
    digest = upstream.put_blob("app", bytes(48 << 20))
    path = f"/v2/{UP}/app/blobs/{digest}"
    store = {"directory": str(tmp_path / "store")}
    if kind == "past the store":
        store["max_size"] = "1MiB"
    configuration = settings(upstream, tmp_path, store=store, limits={"connections": 5})
    with run_serve(configuration) as served:
        asked = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with silent(served, 5, asked) as clients:
            for client in clients:
                assert client.recv(1)
            reading = clients[0]
            began = time.monotonic()
            while status(served, "/v2/") == 503:
                assert status(served, "/healthz") == 200
                assert reading.recv(_SIP)
                assert time.monotonic() - began < 15
                time.sleep(0.02)
            while time.monotonic() - began < 1.5:
                assert reading.recv(_SIP)
                time.sleep(0.02)


@pytest.mark.parametrize("files", [128, pytest.param(64, marks=pytest.mark.long)])
def test_with_few_descriptors_the_server_stays_calm(
    upstream: FakeRegistry, tmp_path: Path, files: int
) -> None:
    """It accepts what it can; its log stays short, and probes are answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "serve.yml"
    path.write_text(json.dumps(settings(upstream, tmp_path, listen=f"127.0.0.1:{port}")))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "squashproxy", "serve", str(path)],
            stdout=output,
            stderr=output,
            preexec_fn=limit,  # noqa: PLW1509 - no other thread of this test holds a lock
        ) as process,
    ):
        try:
            served = Served([f"http://127.0.0.1:{port}"], output)  # type: ignore[arg-type]
            wait_for(log, b"listening")
            with silent(served, 400):
                assert status(served, "/healthz") == 200
            assert status(served, "/v2/") == 200
        finally:
            process.terminate()
            assert process.wait(20) == 0
    text = log.read_text()
    assert "Traceback" not in text
    assert len(text) < 10_000
