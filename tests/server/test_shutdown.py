"""A server that stops leaves nothing open: no file, connection, thread or task, however it stops.

`run_serve` itself looks for tasks and for files of the store after every server of every test, and
a fixture for threads after every test. Here each kind of thing is in use at the moment of the stop.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import select
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from aiohttp import web

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.config.read import parse_configuration
from squashproxy.digest import Digest, digest_of
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.server.api.dispatch import Dispatch
from squashproxy.server.assembly import Application
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.http.access_log import LogThread
from squashproxy.server.http.ranges import Part
from squashproxy.server.listen import serve, signalled
from squashproxy.server.pull.bodies import FileBody, StreamBody
from squashproxy.server.pull.manifests import Manifests
from squashproxy.server.store.directory import DirectoryStore
from squashproxy.server.store.registry import RegistryStore
from squashproxy.server.upstream.clients import UpstreamClients
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.server.leftovers import (
    connections_at,
    connections_to,
    join_server_threads,
    open_files,
    server_threads,
)
from tests.server.serving import UP, Served, app, run_serve, settings

_BIG = 3 << 20
_MANY = 12
"""Layers of an image of which a copy does not read all at once."""


class Opened:
    """A file that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def port_of(registry: FakeRegistry) -> int:
    return int(registry.host.rpartition(":")[2])


def ask(address: str, path: str) -> socket.socket:
    """A client that has asked for a path, and reads nothing yet."""
    host, port = address.split(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


# Threads: the rules of concurrency/threads.py, one by one.


def test_what_is_opened_for_a_caller_who_left_is_closed() -> None:
    opened, may_open, is_opening = Opened(), threading.Event(), threading.Event()

    def open_slowly() -> Opened:
        is_opening.set()
        assert may_open.wait(10)
        return opened

    async def leave() -> None:
        threads = Threads(1, "squashproxy-test")
        caller = asyncio.ensure_future(threads.open(open_slowly))
        assert await asyncio.to_thread(is_opening.wait, 10)
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
        may_open.set()
        assert await threads.close(10)
        assert opened.closed.is_set()

    asyncio.run(leave())


def test_what_must_happen_happens_although_the_threads_close_before_its_turn() -> None:
    waiting, late = Opened(), Opened()
    go = threading.Event()

    async def close_early() -> None:
        threads = Threads(1, "squashproxy-test")
        threads.start(lambda: go.wait(10))
        threads.start(waiting.close)
        dropped = threads.begin(lambda: 1)
        closing = asyncio.ensure_future(threads.close(10))
        await asyncio.sleep(0)
        go.set()
        assert await closing
        assert waiting.closed.is_set()
        assert dropped.cancelled()
        threads.start(late.close)
        assert late.closed.is_set()

    asyncio.run(close_early())


def test_closing_threads_waits_for_what_runs_but_not_for_ever() -> None:
    go = threading.Event()

    async def close_twice() -> None:
        threads = Threads(1, "squashproxy-test")
        running = threads.begin(go.wait, 10)
        began = time.monotonic()
        assert not await threads.close(0.05)
        assert time.monotonic() - began < 5
        go.set()
        assert await threads.close(10)
        assert await running

    asyncio.run(close_twice())


def test_a_stream_is_closed_after_the_fetch_that_still_runs() -> None:
    fetching, go = threading.Event(), threading.Event()
    is_fetching = False
    closed: list[bool] = []

    class Stream:
        """No generator, which would close itself when nobody knows it any more."""

        def __init__(self) -> None:
            self._pieces = iter([b"one", b"two"])

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            nonlocal is_fetching
            piece = next(self._pieces)
            if piece == b"two":
                is_fetching = True
                fetching.set()
                assert go.wait(10)
                is_fetching = False
            return piece

        def close(self) -> None:
            closed.append(is_fetching)

    async def leave() -> None:
        threads = Threads(2, "squashproxy-test")

        async def read() -> None:
            async with aclosing(threads.iterate(Stream())) as items:
                async for _ in items:
                    pass

        reader = asyncio.ensure_future(read())
        assert await asyncio.to_thread(fetching.wait, 10)
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        assert closed == []
        go.set()
        assert await threads.close(10)
        assert closed == [False], "once, and not while an item was being fetched"

    asyncio.run(leave())


def test_work_for_several_callers_is_cancelled_and_awaited() -> None:
    ended: list[str] = []

    async def work() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("work")
        return 1

    async def close() -> None:
        flights: SingleFlight[str, int] = SingleFlight()
        callers = [asyncio.ensure_future(flights.join("key", work)) for _ in range(2)]
        await asyncio.sleep(0.01)
        await flights.close()
        assert ended == ["work"]
        assert all(
            isinstance(error, asyncio.CancelledError)
            for error in await asyncio.gather(*callers, return_exceptions=True)
        )

    asyncio.run(close())


# Bodies: a client leaves while its answer is sent.


def bodies(path: Path, threads: Threads) -> dict[str, Callable[[], FileBody | StreamBody]]:
    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while data := file.read(1000):
                yield data

    return {
        "a file": lambda: FileBody(path, threads),
        "a stream": lambda: StreamBody(pieces, threads),
    }


@pytest.mark.parametrize("kind", ["a file", "a stream"])
def test_a_reader_of_a_blob_is_closed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "blob"
    path.write_bytes(bytes(_BIG))

    async def read_a_little() -> None:
        threads = Threads(1, "squashproxy-test")
        stream: AsyncGenerator[bytes, None] = bodies(path, threads)[kind]().iterate(
            Part(0, _BIG, is_partial=False)
        )
        async with aclosing(stream):
            await anext(stream)
            assert len(open_files(tmp_path)) == 1
        assert await threads.close(10)
        assert open_files(tmp_path) == []

    asyncio.run(read_a_little())


# Whole servers: one kind of work each runs when it stops.


def test_a_blob_that_a_client_is_reading(upstream: FakeRegistry, tmp_path: Path) -> None:
    app(size=20 * _BIG, layers=1).push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        layer = served.manifest("app", "1").json()["layers"][0]
        client = ask(served.host, f"/v2/{UP}/app/blobs/{layer['digest']}")
        assert client.recv(100)
        assert any("blobs" in name for name in open_files(tmp_path / "store"))
    client.close()


def hanging(upstream: FakeRegistry) -> Any:
    return upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=1 << 20, times=9))


def release_soon(hang: Any) -> None:
    """Let upstream go on while the server waits for its threads."""
    threading.Timer(0.5, hang.release).start()


def layer_of(upstream: FakeRegistry) -> str:
    """The digest of a layer of an image upstream that is large enough to hang in its middle."""
    image = app(size=_BIG, layers=1)
    image.push(upstream, "app", "1")
    return str(image.build().layers[0].digest)


def test_the_spool_of_a_blob_that_is_being_fetched(upstream: FakeRegistry, tmp_path: Path) -> None:
    digest = layer_of(upstream)
    hang = hanging(upstream)
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        client = ask(served.host, f"/v2/{UP}/app/blobs/{digest}")
        assert hang.reached.wait(10)
        release_soon(hang)
    client.close()
    assert not list((tmp_path / "store").glob(".squashproxy-*"))
    algorithm, _, name = digest.partition(":")
    kept = tmp_path / "store" / "blobs" / algorithm / name
    assert not kept.exists(), "it was fetched to its end"


def test_the_spool_of_a_blob_whose_client_left(upstream: FakeRegistry, tmp_path: Path) -> None:
    digest = layer_of(upstream)
    hang = hanging(upstream)
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        ask(served.host, f"/v2/{UP}/app/blobs/{digest}").close()
        assert hang.reached.wait(10)
        release_soon(hang)


def test_the_temporary_file_of_a_store_that_is_a_registry(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    digest = layer_of(upstream)
    hang = hanging(upstream)
    with FakeRegistry() as backing:
        store = {"registry": f"{backing.host}/cache"}
        with run_serve(settings(upstream, tmp_path, store=store, drain="100ms")) as served:
            client = ask(served.host, f"/v2/{UP}/app/blobs/{digest}")
            assert hang.reached.wait(10)
            assert len(open_files(tmp_path)) >= 1
            release_soon(hang)
        client.close()
        assert open_files(tmp_path) == []
        assert connections_to(port_of(backing)) == 0


def test_a_store_that_is_a_registry_is_left_in_the_middle_of_an_upload() -> None:
    stopping = Cancellation()
    with FakeRegistry() as backing:
        root = Repository(backing.host, "cache")
        store = RegistryStore(RegistryClient(environ={}), RegistryClient(environ={}), root)
        spool = store.open_spool()
        spool.write(b"content")
        stopping.cancel()
        with pytest.raises(Cancelled):
            spool.keep(Repository(UP, "app"), Descriptor("", digest_of(b"content"), 7), stopping)
        spool.close()
        store.close()


def blobs_asked_for(upstream: FakeRegistry, name: str) -> int:
    """How many blobs of a repository were asked for, those counted once that broke off."""
    there = f"/v2/{name}/blobs/"
    return len({each.path for each in upstream.requests if each.path.startswith(there)})


def test_the_sink_and_the_pool_of_a_job(upstream: FakeRegistry, tmp_path: Path) -> None:
    app(size=_BIG, layers=_MANY).push(upstream, "app", "1")
    hang = upstream.arm(
        Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=1 << 20, skip=1, times=9)
    )
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        served.post("/api/v1/warm", json={"image": f"{UP}/app:1"})
        assert hang.reached.wait(10)
        release_soon(hang)
    assert not list((tmp_path / "store").glob(".squashproxy-*"))
    assert blobs_asked_for(upstream, "app") < _MANY, "the job went on to its end"


def test_a_job_that_waits_for_its_turn(upstream: FakeRegistry, tmp_path: Path) -> None:
    for name in ("one", "two"):
        app(name, size=_BIG).push(upstream, name, "1")
    hang = hanging(upstream)
    section = settings(upstream, tmp_path, drain="100ms")
    section["engine"] = {"jobs": 1}
    with run_serve(section) as served:
        for name in ("one", "two"):
            served.post("/api/v1/warm", json={"image": f"{UP}/{name}:1"})
        assert hang.reached.wait(10)
        release_soon(hang)
    assert not [exchange for exchange in upstream.requests if "/v2/two/blobs/" in exchange.path]


def test_an_estimate(upstream: FakeRegistry, tmp_path: Path) -> None:
    app(size=_BIG, layers=_MANY).push(upstream, "app", "1")
    hang = hanging(upstream)
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        body = f'{{"image": "{UP}/app:1", "dry_run": true}}'
        host, port = served.host.split(":")
        client = socket.create_connection((host, int(port)), timeout=10)
        head = f"POST /api/v1/warm HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(f"{head}{body}".encode())
        assert hang.reached.wait(10)
        release_soon(hang)
    client.close()
    assert blobs_asked_for(upstream, "app") < _MANY, "the estimate went on to its end"


def test_a_tag_that_upstream_is_asked_for(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("HEAD", "/manifests/", FaultKind.HANG, times=9))
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        ask(served.host, f"/v2/{UP}/app/manifests/1").close()
        assert hang.reached.wait(10)
        release_soon(hang)


def test_a_manifest_that_is_passed_through(upstream: FakeRegistry, tmp_path: Path) -> None:
    source = app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/manifests/", FaultKind.HANG, times=9))
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        client = ask(served.host, f"/v2/{UP}/app/manifests/{source}")
        assert hang.reached.wait(10)
        release_soon(hang)
    client.close()


def test_a_password_that_is_checked(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users"
    users.write_text(f"bob:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    checking, honest = threading.Event(), bcrypt.checkpw

    def slow(password: bytes, hashed: bytes) -> bool:
        checking.set()
        time.sleep(0.5)
        return honest(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    section = settings(upstream, tmp_path, auth={"htpasswd": str(users)}, drain="100ms")
    with run_serve(section) as served:
        host, port = served.host.split(":")
        client = socket.create_connection((host, int(port)), timeout=10)
        client.sendall(
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Ym9iOnNlY3JldA==\r\n\r\n"
        )
        assert checking.wait(10)
    client.close()


def test_the_ledger_is_closed_after_the_threads_that_write_to_it(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of a store's tags is on its way into the ledger when the server stops."""
    errors: list[BaseException] = []
    writing, honest = threading.Event(), DirectoryStore.keep_tag

    def slow(*args: Any) -> None:
        writing.set()
        time.sleep(0.5)
        try:
            honest(*args)
        except BaseException as error:
            errors.append(error)
            raise

    monkeypatch.setattr(DirectoryStore, "keep_tag", slow)
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        ask(served.host, f"/v2/{UP}/app/manifests/1").close()
        assert writing.wait(10)
    assert errors == []
    assert not list((tmp_path / "store").glob("*-wal"))


def test_connections_to_upstream(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        served.manifest("app", "1")
        assert connections_to(port_of(upstream)) > 0
    assert connections_to(port_of(upstream)) == 0


def test_a_caller_s_connections_when_others_need_the_room(
    upstream: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("squashproxy.server.upstream.clients._MOST_CALLERS", 1)
    options = ClientOptions(plain_http=frozenset({upstream.host}))
    clients = UpstreamClients(frozenset({upstream.host}), options, {}, lambda *_: None)
    app().push(upstream, "app", "1")
    name = Repository(upstream.host, "app")
    assert clients.find_manifest(Caller("bob", ("bob", "1")), name, "1") is not None
    assert connections_to(port_of(upstream)) == 1
    clients.client(Caller("eve", ("eve", "1")))
    assert connections_to(port_of(upstream)) == 0
    clients.close()


def test_an_idle_connection_of_a_client(served: Served) -> None:
    """run_serve fails if a task of the connection is left."""
    host, port = served.host.split(":")
    served.session.get(f"{served.url}/healthz", timeout=10)
    client = socket.create_connection((host, int(port)))
    time.sleep(0.05)
    client.close()


# Requests that never end by themselves.


class Endless:
    """What answers each request, and never does; `events` is what happened at the stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self.events: list[str] = []
        honest = Application.stop

        async def answer(*_arguments: object) -> web.StreamResponse:
            self.begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(10):  # it takes a moment to let go of what it holds
                    await asyncio.sleep(0)
                self.events.append("the request ended")
            raise AssertionError("nobody sets the event")

        async def stop(application: Application) -> None:
            self.events.append("the application stops")
            await honest(application)

        monkeypatch.setattr(Dispatch, "__call__", answer)
        monkeypatch.setattr(Application, "stop", stop)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    return Endless(monkeypatch)


@pytest.mark.parametrize("leaves", [False, True], ids=["a client that waits", "one that left"])
def test_a_request_is_cancelled_when_its_time_is_over_and_before_anything_is_closed(
    upstream: FakeRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    endless: Endless,
    *,
    leaves: bool,
) -> None:
    """aiohttp would wait longer than `serve.drain`, and cancel no request whose client left."""
    monkeypatch.setattr("squashproxy.server.listen._AIOHTTP_SECONDS", 1000.0)
    with run_serve(settings(upstream, tmp_path, drain="100ms")) as served:
        client = ask(served.host, "/v2/")
        assert endless.begun.wait(10)
        if leaves:
            client.close()
    client.close()
    assert endless.events == ["the request ended", "the application stops"]


@pytest.mark.parametrize("leaves", [False, True], ids=["a client that waits", "one that left"])
def test_a_request_is_cancelled_although_the_stop_is_cancelled_too(
    upstream: FakeRegistry, tmp_path: Path, endless: Endless, *, leaves: bool
) -> None:
    """As with a second Ctrl-C, while requests still have time to end."""
    section = json.dumps(settings(upstream, tmp_path, drain="10m"))
    configuration = parse_configuration(section, "serve.yml", Path(), {})

    async def stop_twice() -> None:
        stop = asyncio.Event()
        ready: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(
            serve(
                configuration,
                ClientOptions(),
                {},
                access_log=None,
                on_ready=ready.set_result,
                until=stop.wait,
            )
        )
        address = (await ready)[0]
        client = await asyncio.to_thread(ask, address, "/v2/")
        assert await asyncio.to_thread(endless.begun.wait, 10)
        if leaves:
            client.close()
        stop.set()
        for _ in range(20):  # steps of the loop, after which the server waits for its requests
            await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert connections_at(int(address.rpartition(":")[2])) == 0
        client.close()

    asyncio.run(stop_twice())
    assert endless.events == ["the request ended", "the application stops"]


def test_a_pull_whose_client_left_ends_with_the_server(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("GET", "/blobs/", FaultKind.HANG, times=99))
    with run_serve(settings(upstream, tmp_path, drain="300ms")) as served:
        ask(served.host, f"/v2/{UP}/app/manifests/1").close()
        assert hang.reached.wait(10)
        release_soon(hang)


def test_a_thread_that_hangs_holds_up_neither_the_end_nor_what_comes_after(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread closes what it holds when it ends."""
    monkeypatch.setattr("squashproxy.server.assembly._STOP_SECONDS", 0.2)
    digest = layer_of(upstream)
    hang = hanging(upstream)
    with run_serve(settings(upstream, tmp_path, drain="100ms"), may_leave_files=True) as served:
        client = ask(served.host, f"/v2/{UP}/app/blobs/{digest}")
        assert hang.reached.wait(10)
    client.close()
    DirectoryStore(tmp_path / "store", 1 << 30).close()
    hang.release()
    join_server_threads(10)
    assert server_threads() == []
    assert open_files(tmp_path / "store") == []


@pytest.mark.parametrize(("method", "by"), [("HEAD", "tag"), ("GET", "digest")])
def test_what_callers_share_is_given_up_although_its_thread_hangs(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, by: str
) -> None:
    """`run_serve` finds the task that would be left."""
    monkeypatch.setattr("squashproxy.server.assembly._STOP_SECONDS", 0.2)
    selector = {"digest": app().push(upstream, "app", "1"), "tag": "1"}[by]
    hang = upstream.arm(Fault(method, "/manifests/", FaultKind.HANG, times=9))
    with run_serve(settings(upstream, tmp_path, drain="100ms"), may_leave_files=True) as served:
        ask(served.host, f"/v2/{UP}/app/manifests/{selector}").close()
        assert hang.reached.wait(10)
    hang.release()
    join_server_threads(10)


def test_the_last_uses_are_written_at_the_stop(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eviction would take what was pulled last, if it were forgotten with each stop."""
    monkeypatch.setattr("squashproxy.server.assembly._TRIM_SECONDS", 1000.0)
    written: list[str] = []
    honest = DirectoryStore.touch

    def touch(store: DirectoryStore, uses: Sequence[tuple[Digest, float]]) -> None:
        written.extend(digest for digest, _ in uses)
        honest(store, uses)

    monkeypatch.setattr(DirectoryStore, "touch", touch)
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path)) as served:
        layer = served.manifest("app", "1").json()["layers"][0]["digest"]
        assert served.blob("app", layer).ok
        assert written == []
    assert layer in written


def test_the_store_is_closed_although_the_stop_meets_a_bug(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Manifests) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Manifests, "close", fail)
    with pytest.raises(ZeroDivisionError), run_serve(settings(upstream, tmp_path)):
        pass
    DirectoryStore(tmp_path / "store", 1 << 30).close()


# A server that cannot start.

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no file of users": ({"auth": {"htpasswd": "/nowhere/users"}}, "users"),
    "an address in use": ({"listen": ["127.0.0.1:0", "127.0.0.1:PORT"]}, "cannot listen"),
    "no certificate": (
        {"tls": {"certificate": "/nowhere/c", "key": "/nowhere/k"}},
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("more", "message"), BROKEN.values(), ids=BROKEN)
def test_a_server_that_cannot_start(
    upstream: FakeRegistry, tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        if "listen" in more:
            more = {"listen": [address.replace("PORT", port) for address in more["listen"]]}
        with (
            pytest.raises(UsageError, match=message),
            run_serve(settings(upstream, tmp_path, **more)),
        ):
            pass
    assert open_files(tmp_path / "store") == []
    DirectoryStore(tmp_path / "store", 1 << 30).close()


def test_a_store_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SquashproxyError("no")

    monkeypatch.setattr("squashproxy.server.store.directory.sweep", fail)
    with pytest.raises(SquashproxyError):
        DirectoryStore(tmp_path / "store", 1)
    assert open_files(tmp_path / "store") == []


# The edges of the process.


def test_the_log_s_thread_ends_although_nobody_reads_the_log() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as reader:
        with LogThread(stream, patience=0.2) as log:
            for _ in range(20_000):
                log.logger.info("%s", "x" * 100)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert log.logger.handlers == []
        while server_threads():  # the line that it was writing is all that is left
            if select.select([reader], [], [], 0.05)[0]:
                reader.read1(1 << 20)


def test_the_log_has_every_line_at_the_end() -> None:
    stream = io.StringIO()
    with LogThread(stream) as log:
        for number in range(1000):
            log.logger.info("%d", number)
    assert stream.getvalue().split() == [str(number) for number in range(1000)]


def test_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    def now() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async def stop() -> None:
        waiting = asyncio.ensure_future(signalled())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await waiting
        assert now() == before, "a second signal ends the process at once"
        again = asyncio.ensure_future(signalled())
        await asyncio.sleep(0)
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again
        assert now() == before

    asyncio.run(stop())
