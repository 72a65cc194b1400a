"""Faults: each does what it says, as often as it says, and then the registry is well again."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.testing import FakeRegistry, Fault, FaultKind

Make = Callable[..., FakeRegistry]
Connect = Callable[[FakeRegistry], Any]

BLOB = bytes(range(256)) * 1024
DIGEST = digest_of(BLOB)
PATH = f"/v2/app/blobs/{DIGEST}"


@pytest.fixture
def registry(registries: Make) -> FakeRegistry:
    registry = registries()
    registry.put_blob("app", BLOB)
    return registry


def test_an_answer_instead_of_the_work_as_often_as_asked(
    registry: FakeRegistry, client: Any
) -> None:
    fault = Fault("GET", "/blobs/", status=429, headers=(("Retry-After", "3"),), times=2, skip=1)
    armed = registry.arm(fault)
    replies = [client.ask("GET", PATH) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 429, 429, 200]
    assert (replies[1].headers["Retry-After"], replies[1].code) == ("3", "TOOMANYREQUESTS")
    assert armed.remaining == 0
    assert armed.reached.is_set()


def test_a_fault_waits_for_its_method_and_path(registry: FakeRegistry, client: Any) -> None:
    armed = registry.arm(Fault("PUT", r"/manifests/v\d+$", status=500))
    assert client.ask("GET", PATH).status == 200
    assert client.ask("PUT", "/v2/app/manifests/latest", b"{}").status == 201
    assert not armed.reached.is_set()
    assert client.ask("PUT", "/v2/app/manifests/v1", b"{}").status == 500
    assert list(registry.tags("app")) == ["latest"]


def test_a_dropped_connection_has_no_answer_and_no_effect(
    registry: FakeRegistry, connect: Connect
) -> None:
    registry.arm(Fault("POST", "/uploads/", FaultKind.DROP))
    with pytest.raises(http.client.RemoteDisconnected):
        connect(registry).ask("POST", "/v2/app/blobs/uploads/")
    assert registry.open_uploads == 0
    assert registry.requests[-1].status is None


def test_a_lost_answer_has_an_effect(registry: FakeRegistry, connect: Connect) -> None:
    registry.arm(Fault("POST", "/uploads/", FaultKind.LOSE_ANSWER))
    with pytest.raises(http.client.RemoteDisconnected):
        connect(registry).ask("POST", "/v2/app/blobs/uploads/")
    assert registry.open_uploads == 1


@pytest.mark.parametrize("position", [0, 1, 70_000, len(BLOB) - 1])
def test_a_download_breaks_after_some_bytes(
    registry: FakeRegistry, connect: Connect, position: int
) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=position))
    client = connect(registry)
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.ask("GET", PATH)
    assert caught.value.partial == BLOB[:position]
    rest = connect(registry).ask("GET", PATH, headers={"Range": f"bytes={position}-"})
    assert rest.body == BLOB[position:]


@pytest.mark.parametrize("resumable", [True, False], ids=["kept", "forgotten"])
def test_an_upload_breaks_after_some_bytes(
    registries: Make, connect: Connect, resumable: bool
) -> None:
    registry = registries(resumable_uploads=resumable)
    registry.arm(Fault("PATCH", "/uploads/", FaultKind.DROP_REQUEST, after_bytes=1000))
    location = connect(registry).begin()
    with pytest.raises(ConnectionError):
        connect(registry).ask("PATCH", location, BLOB)
    client = connect(registry)
    status = client.ask("GET", location)
    if not resumable:
        assert status.status == 404
        assert registry.open_uploads == 0
        return
    assert status.headers["Range"] == "0-999"
    headers = {"Content-Range": f"1000-{len(BLOB) - 1}"}
    fed = client.ask("PATCH", status.headers["Location"], BLOB[1000:], headers)
    assert client.ask("PUT", f"{fed.headers['Location']}&digest={DIGEST}").status == 201
    assert registry.blob("app", DIGEST) == BLOB


@pytest.mark.parametrize("position", [0, 65_536, len(BLOB) - 1])
def test_one_bit_is_wrong(registry: FakeRegistry, client: Any, position: int) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.CORRUPT, after_bytes=position))
    body = client.ask("GET", PATH).body
    assert [at for at in range(len(BLOB)) if body[at] != BLOB[at]] == [position]
    assert client.ask("GET", PATH).body == BLOB


def test_a_body_that_ends_early_and_looks_complete(registry: FakeRegistry, client: Any) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.CUT, after_bytes=300))
    reply = client.ask("GET", PATH)
    assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "300", BLOB[:300])


@pytest.mark.parametrize("after_bytes", [None, 100_000], ids=["before the work", "in the body"])
def test_a_request_hangs_until_released(
    registry: FakeRegistry, client: Any, after_bytes: int | None
) -> None:
    armed = registry.arm(Fault("GET", "/blobs/", FaultKind.HANG, after_bytes=after_bytes))
    bodies: list[bytes] = []
    thread = threading.Thread(target=lambda: bodies.append(client.ask("GET", PATH).body))
    thread.start()
    assert armed.reached.wait(10)
    assert bodies == []
    armed.release()
    thread.join(10)
    assert bodies == [BLOB]


def test_a_registry_closes_under_hanging_and_idle_connections(connect: Connect) -> None:
    registry = FakeRegistry()
    armed = registry.arm(Fault("GET", "/v2/", FaultKind.HANG))
    idle, hanging = connect(registry), connect(registry)
    idle.ask("HEAD", "/v2/")
    errors: list[ConnectionError] = []

    def ask() -> None:
        try:
            hanging.ask("GET", "/v2/")
        except ConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert armed.reached.wait(10)
    registry.close()
    thread.join(10)
    assert len(errors) == 1
    with pytest.raises(ConnectionError):
        idle.ask("HEAD", "/v2/")


def test_faults_can_be_forgotten(registry: FakeRegistry, client: Any) -> None:
    registry.arm(Fault("GET", "/blobs/", status=500, times=100))
    assert client.ask("GET", PATH).status == 500
    registry.disarm()
    assert client.ask("GET", PATH).status == 200


def test_an_answer_may_have_a_body_of_its_own(registry: FakeRegistry, client: Any) -> None:
    headers = (("Link", "<?last=b>; rel=next"),)
    registry.arm(Fault("GET", "/tags/", status=200, headers=headers, body=b'{"tags": ["../x"]}'))
    reply = client.ask("GET", "/v2/app/tags/list")
    assert (reply.status, reply.body) == (200, b'{"tags": ["../x"]}')
    assert reply.headers["Link"] == "<?last=b>; rel=next"


def test_an_altered_answer_is_the_true_one_but_for_what_was_altered(
    registry: FakeRegistry, client: Any
) -> None:
    headers = (("docker-content-digest", "sha256:nonsense"), ("X-More", "1"))
    registry.arm(Fault("GET", "/blobs/", FaultKind.ALTER, headers=headers))
    reply = client.ask("GET", PATH)
    assert (reply.status, reply.body) == (200, BLOB)
    assert reply.headers["Docker-Content-Digest"] == "sha256:nonsense"
    assert (reply.headers["X-More"], reply.headers["Accept-Ranges"]) == ("1", "bytes")
    registry.arm(Fault("GET", "/blobs/", FaultKind.ALTER, body=b"other"))
    assert client.ask("GET", PATH).body == b"other"
    assert client.ask("GET", PATH).body == BLOB


def test_an_altered_answer_comes_after_the_work(registry: FakeRegistry, client: Any) -> None:
    registry.arm(Fault("PUT", "/manifests/", FaultKind.ALTER, body=b"done?"))
    assert client.ask("PUT", "/v2/app/manifests/v1", b"{}").status == 201
    assert list(registry.tags("app")) == ["v1"]


def test_a_false_length_is_sent_and_the_connection_closed(
    registry: FakeRegistry, connect: Connect
) -> None:
    headers = (("Content-Length", "9"),)
    registry.arm(Fault("GET", "/blobs/", status=200, headers=headers, body=b"short"))
    with pytest.raises(http.client.IncompleteRead):
        connect(registry).ask("GET", PATH)


def test_raw_bytes_stand_in_for_an_answer(registry: FakeRegistry, connect: Connect) -> None:
    registry.arm(
        Fault("GET", "/blobs/", FaultKind.RAW, body=b"HTTP/1.1 200 Fine\r\nA: b\r\n\r\nraw")
    )
    reply = connect(registry).ask("GET", PATH)
    assert (reply.status, reply.headers["A"], reply.body) == (200, "b", b"raw")
    registry.arm(Fault("GET", "/blobs/", FaultKind.RAW))
    with pytest.raises(http.client.RemoteDisconnected):
        connect(registry).ask("GET", PATH)
    assert [each.status for each in registry.requests] == [None, None]


def receive(registry: FakeRegistry) -> bytes:
    """All bytes of an answer, as they come over the wire. Raises ConnectionResetError."""
    host, port = registry.host.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize("position", [0, 1, 20, 60])
def test_an_answer_is_cut_anywhere_by_a_clean_close(registry: FakeRegistry, position: int) -> None:
    whole = receive(registry)
    registry.arm(Fault("GET", "", FaultKind.SEVER, after_bytes=position))
    assert receive(registry) == whole[:position]
    assert registry.requests[-1].status == 200


def test_an_answer_is_cut_by_a_reset(registry: FakeRegistry) -> None:
    registry.arm(Fault("GET", "", FaultKind.RESET, after_bytes=20))
    with pytest.raises(ConnectionResetError):
        receive(registry)
