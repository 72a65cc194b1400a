"""FaultProxy: what is behind it is seen as it is, and fails as a FakeRegistry does."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from squashproxy.digest import digest_of
from squashproxy.testing import FakeRegistry, Fault, FaultKind, FaultProxy, RegistryOptions, Tls

Connect = Callable[[FaultProxy], Any]

BLOB = bytes(range(256)) * 1024
DIGEST = digest_of(BLOB)
PATH = f"/v2/app/blobs/{DIGEST}"
UPLOADS = "/v2/app/blobs/uploads/"


@pytest.fixture
def proxy(registry: FakeRegistry) -> Iterator[FaultProxy]:
    registry.put_blob("app", BLOB)
    with FaultProxy(registry.url) as proxy:
        yield proxy


def test_answers_are_those_of_the_registry(
    registry: FakeRegistry, proxy: FaultProxy, connect: Callable[[Any], Any]
) -> None:
    direct, through = connect(registry), connect(proxy)
    for method, path in (
        ("GET", PATH),
        ("HEAD", PATH),
        ("GET", "/v2/_catalog?n=1"),
        ("GET", "/v2/app/blobs/sha256:none"),
        ("PUT", "/v2/app/tags/list"),
    ):
        one, other = direct.ask(method, path), through.ask(method, path)
        assert (one.status, one.headers.items()) == (other.status, other.headers.items())
        assert one.body == other.body
    assert through.ask("GET", PATH, headers={"Range": "bytes=5-9"}).body == BLOB[5:10]
    assert [each.path for each in proxy.requests[:2]] == [PATH, PATH]


@pytest.mark.parametrize("body", [BLOB[:9], [BLOB[:4], BLOB[4:9]]], ids=["length", "chunked"])
def test_an_upload_goes_through_the_proxy_to_its_end(
    registry: FakeRegistry, proxy: FaultProxy, connect: Connect, body: Any
) -> None:
    client = connect(proxy)
    location = client.begin()
    assert proxy.host in location
    location = client.ask("PATCH", location, body).headers["Location"]
    digest = digest_of(BLOB[:9])
    assert client.ask("PUT", f"{location}&digest={digest}").status == 201
    assert registry.blob("app", digest) == BLOB[:9]


@pytest.mark.parametrize("position", [0, 1, 100_000])
def test_a_request_that_breaks_off_breaks_off_for_the_registry_too(
    registry: FakeRegistry, proxy: FaultProxy, connect: Connect, position: int
) -> None:
    client = connect(proxy)
    location = client.begin()
    proxy.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=position))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        client.ask("PATCH", location, BLOB)
    proxy.close()
    assert registry.requests[-1].status is None
    assert registry.requests[-1].received == position


def test_a_lost_answer_has_an_effect_and_a_dropped_request_has_none(
    registry: FakeRegistry, proxy: FaultProxy, connect: Connect
) -> None:
    for kind, left in ((FaultKind.DROP, 0), (FaultKind.LOSE_ANSWER, 1)):
        proxy.arm(Fault("POST", "/uploads/", kind))
        with pytest.raises(http.client.RemoteDisconnected):
            connect(proxy).ask("POST", UPLOADS)
        assert registry.open_uploads == left


def test_a_download_is_cut_or_damaged_on_the_way(proxy: FaultProxy, connect: Connect) -> None:
    proxy.arm(Fault("GET", "", FaultKind.SEVER, after_bytes=100_000))
    with pytest.raises(http.client.IncompleteRead):
        connect(proxy).ask("GET", PATH)
    proxy.arm(Fault("GET", "", FaultKind.CORRUPT, after_bytes=3))
    found = connect(proxy).ask("GET", PATH).body
    assert (found[:3], found[3], found[4:]) == (BLOB[:3], 3 ^ 1, BLOB[4:])
    assert connect(proxy).ask("GET", PATH).body == BLOB


def test_an_answer_in_place_of_the_registrys(
    registry: FakeRegistry, proxy: FaultProxy, connect: Connect
) -> None:
    proxy.arm(Fault("PUT", "/manifests/", status=503, headers=(("Retry-After", "2"),)))
    reply = connect(proxy).ask("PUT", "/v2/app/manifests/v1", b"{}")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "2")
    assert registry.requests == ()


def test_a_registry_that_is_away_closes_the_connection(
    registry: FakeRegistry, proxy: FaultProxy, connect: Connect
) -> None:
    registry.close()
    with pytest.raises(http.client.RemoteDisconnected):
        connect(proxy).ask("GET", PATH)


def test_the_registry_may_speak_tls(tmp_path: Path, connect: Connect) -> None:
    authority = trustme.CA()
    pem = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with FakeRegistry(RegistryOptions(tls=Tls(pem, pem))) as registry:
        registry.put_blob("app", BLOB)
        with FaultProxy(registry.url, context=context) as proxy:
            assert connect(proxy).ask("GET", PATH).body == BLOB
