"""Faults of an upstream, and the answers that clients get."""

from __future__ import annotations

import errno
import json
import socket
import time
from pathlib import Path

import pytest
import requests

from squashproxy.errors import Denied
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.server.store import spools
from squashproxy.testing import Bearer, FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.server.serving import UP, Served, app, run_serve, settings


def large(upstream: FakeRegistry) -> tuple[str, bytes]:
    data = bytes(range(256)) * 8000
    return upstream.put_blob("app", data), data


BREAKS = {
    "broken off": Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=1_000_000),
    "cut short": Fault("GET", "/blobs/", FaultKind.CUT, after_bytes=1_500_000, times=9),
}


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_blob_that_breaks_off_is_taken_up_again(
    served: Served, upstream: FakeRegistry, fault: Fault
) -> None:
    digest, data = large(upstream)
    upstream.arm(fault)
    assert served.blob("app", digest).content == data
    ranges = [exchange.headers.get("range") for exchange in upstream.requests]
    assert any(text and text.startswith("bytes=") for text in ranges)


LIES = {
    "a changed bit": Fault("GET", "/blobs/", FaultKind.CORRUPT, after_bytes=1_500_000, times=9),
    "nothing of it": Fault("GET", "/blobs/", FaultKind.CUT, after_bytes=0, times=1000),
}


@pytest.mark.parametrize("fault", LIES.values(), ids=LIES)
def test_a_blob_that_lies_is_never_sent_whole(
    served: Served, upstream: FakeRegistry, fault: Fault
) -> None:
    digest, _ = large(upstream)
    upstream.arm(fault)
    with pytest.raises(requests.RequestException):
        served.blob("app", digest)
    assert served.get("/healthz").status_code == 200


def test_after_a_lie_the_true_blob_is_fetched(served: Served, upstream: FakeRegistry) -> None:
    digest, data = large(upstream)
    upstream.arm(Fault("GET", "/blobs/", FaultKind.CORRUPT, after_bytes=10))
    with pytest.raises(requests.RequestException):
        served.blob("app", digest)
    assert served.blob("app", digest).content == data


def test_a_manifest_that_lies(served: Served, upstream: FakeRegistry) -> None:
    source = app().push(upstream, "app", "1")
    upstream.arm(Fault("GET", "/manifests/", FaultKind.CORRUPT, after_bytes=5, times=100))
    answer = served.manifest("app", source)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (502, "UNKNOWN")


def test_a_realm_at_a_private_address_gets_no_credentials(tmp_path: Path) -> None:
    """Loopback may point to loopback; an upstream that is named by its address and public not."""
    public = Endpoint(UP, "https", "registry.example.com")
    for realm in ("http://169.254.169.254/latest", "https://10.0.0.1/token", "https://[::1]/t"):
        with pytest.raises(Denied):
            public.resolve("https://registry.example.com/v2/", realm)
    realm = "ftp://127.0.0.1/token"
    options = RegistryOptions(auth=Bearer("a", "b", realm=realm))
    with (
        FakeRegistry(options) as upstream,
        run_serve(settings(upstream, tmp_path)) as served,
    ):
        answer = served.manifest("app", "1")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")


def test_a_base_that_an_image_names_is_asked_of_upstreams_alone(
    served: Served, upstream: FakeRegistry
) -> None:
    """An annotation must not make the server call any host."""
    with FakeRegistry() as elsewhere:
        name = f"{elsewhere.host}/base:1"
        app().push(elsewhere, "base", "1")
        elsewhere.forget_requests()
        app(annotations={"org.opencontainers.image.base.name": name}).push(upstream, "app", "1")
        assert served.manifest("app", "1").headers["X-Squashproxy-Source"] == "squashed"
        assert elsewhere.requests == ()


def test_a_full_disk_serves_uncached(
    upstream: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_nothing(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = app().push(upstream, "app", "1")
    digest, data = large(upstream)
    with run_serve(settings(upstream, tmp_path)) as served:
        monkeypatch.setattr(spools, "write_all", write_nothing)
        assert served.blob("app", digest).content == data
        part = served.blob("app", digest, headers={"Range": "bytes=1000000-1000009"})
        assert part.content == data[1_000_000:1_000_010]
        answer = served.manifest("app", "1")
        assert answer.headers["Docker-Content-Digest"] == source
        layer = json.loads(answer.content)["layers"][0]["digest"]
        assert served.blob("app", layer).status_code == 200
        assert served.get("/readyz").status_code == 503
        monkeypatch.undo()
        assert served.get("/readyz").status_code == 200


def test_a_slow_client_holds_up_nobody(served: Served, upstream: FakeRegistry) -> None:
    data = bytes(16 << 20)
    digest = upstream.put_blob("app", data)
    host, port = served.host.split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /v2/{UP}/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        slow.sendall(request.encode())
        assert slow.recv(100)
        began = time.monotonic()
        assert served.blob("app", digest).content == data
        assert time.monotonic() - began < 20


def test_one_host_s_blobs_are_not_another_s(tmp_path: Path) -> None:
    """Whoever knows a digest must not get it through a repository that never had it."""
    with FakeRegistry() as one, FakeRegistry() as two:
        section = settings(one, tmp_path)
        section["serve"]["upstreams"]["two.example"] = {"url": two.url}
        digest = one.put_blob("secret", b"a secret of one")
        with run_serve(section) as served:
            assert served.blob("secret", digest).status_code == 200
            assert served.blob("other", digest).status_code == 404
            answer = served.get(f"/v2/two.example/secret/blobs/{digest}")
            assert answer.status_code == 404


def test_repositories_of_a_host_share_what_both_have(
    served: Served, upstream: FakeRegistry
) -> None:
    digest = upstream.put_blob("one", b"a layer that both have")
    upstream.put_blob("two", b"a layer that both have")
    served.blob("one", digest)
    upstream.forget_requests()
    answer = served.blob("two", digest)
    assert answer.headers["X-Squashproxy-Source"] == "cached"
    assert [exchange.method for exchange in upstream.requests] == ["HEAD"]


def test_files_of_fetches_are_closed(served: Served, upstream: FakeRegistry) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    digests = [upstream.put_blob("app", bytes([number]) * 300_000) for number in range(20)]
    served.blob("app", digests[0])
    before = open_files()
    for digest in digests:
        served.head(f"/v2/{UP}/app/blobs/{digest}")
        served.blob("app", digest)
    deadline = time.monotonic() + 10
    while open_files() > before + 3:
        assert time.monotonic() < deadline, "descriptors are left open"
        time.sleep(0.05)


def test_one_wrong_challenge_does_not_end_an_upstream(tmp_path: Path) -> None:
    """A 401 whose realm leads nowhere, once, costs that one answer."""
    options = RegistryOptions(auth=Bearer("a", "b", anonymous_pull=True))
    with FakeRegistry(options) as upstream:
        sources = {name: app(name).push(upstream, name, "1") for name in ("one", "two")}
        headers = (("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:1/token"'),)
        upstream.arm(Fault("*", "/manifests/", status=401, headers=headers))
        with run_serve(settings(upstream, tmp_path)) as served:
            served.manifest("one", sources["one"])
            for name, source in sources.items():
                assert served.manifest(name, source).status_code == 200
