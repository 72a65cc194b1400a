"""Requests that no client sends by itself: answered with 4xx, never with a bug; nothing begins."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from squashproxy.testing import FakeRegistry
from tests.server.api.test_control import notification, wait_until_idle
from tests.server.serving import UP, Served, app, run_serve, settings


@pytest.fixture(autouse=True)
def _no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record for record in caplog.records if record.exc_info]


def raw(served: Served, head: str, body: bytes = b"") -> int:
    """The status of an answer to a request whose bytes are given; 0 without one."""
    host, port = served.host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        request = f"{head}\r\nConnection: close\r\n{length}\r\n".encode("latin-1") + body
        client.sendall(request)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return int(answer.split()[1]) if answer else 0


ODD_HEADS = {
    "a login in another encoding": ("GET /v2/", "Authorization: Basic \xe9", {401, 200}),
    "a token in another encoding": ("GET /v2/", "Authorization: \xe9", {401, 200}),
    "an origin that is no URL": ("POST /api/v1/warm", "Origin: http://[", {403}),
    "an origin of nobody": ("POST /api/v1/warm", "Origin: null", {403}),
    "an origin with a bad port": ("POST /api/v1/warm", "Origin: http://x:y", {403}),
    "many digits": (f"GET /v2/{UP}/app/tags/list?n={'9' * 5000}", "X: y", {400}),
    "digits of another script": (f"GET /v2/{UP}/app/tags/list?n=%D9%A1", "X: y", {400}),
    "a range of many digits": (
        f"GET /v2/{UP}/app/blobs/sha256:{'0' * 64}",
        f"Range: bytes={'9' * 5000}-",
        {404},
    ),
    "a host that is none": ("GET /", "Host: [", {403, 400, 200}),
}


@pytest.mark.parametrize("auth", ["none", "upstream"])
@pytest.mark.parametrize("odd", ODD_HEADS.values(), ids=ODD_HEADS)
def test_odd_headers(
    upstream: FakeRegistry, tmp_path: Path, auth: str, odd: tuple[str, str, set[int]]
) -> None:
    line, header, expected = odd
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, auth=auth)) as served:
        host = "" if header.startswith("Host") else f"\r\nHost: {served.host}"
        assert raw(served, f"{line} HTTP/1.1{host}\r\n{header}") in expected | {401}


def test_a_webhook_s_token_in_another_encoding(upstream: FakeRegistry, tmp_path: Path) -> None:
    with run_serve(settings(upstream, tmp_path, hook={"token": "caf\xe9"})) as served:
        head = f"POST /api/v1/hook HTTP/1.1\r\nHost: {served.host}\r\nAuthorization: \xe9\xff"
        assert raw(served, head, b"{}") == 401


def event(**target: Any) -> dict[str, Any]:
    document: Any = notification("up.example", "app", "1")
    document["events"][0]["target"] |= target
    document["events"][0]["request"] = {}
    return dict(document)


BODIES: dict[str, tuple[object, int]] = {
    "no object": ([], 400),
    "a number": (5, 400),
    "events that are no list": ({"events": 5}, 400),
    "events of odd types": ({"events": [5, None, [], "x", {"action": []}]}, 202),
    "a target that is no object": ({"events": [{"action": "push", "target": 5}]}, 202),
    "a URL that is none": (event(url="http://["), 202),
    "a URL that is no text": (event(url=5), 202),
    "a tag that is no text": (event(tag=1.5), 202),
    "a tag that is a list": (event(tag=["1"]), 202),
    "a repository that is no text": (event(repository=5), 202),
    "Harbor, a type that is a list": ({"type": [], "event_data": {}}, 202),
    "Harbor, data that is a list": ({"type": "PUSH_ARTIFACT", "event_data": []}, 202),
    "Harbor, resources that are a number": (
        {"type": "PUSH_ARTIFACT", "event_data": {"resources": 5}},
        202,
    ),
    "Harbor, resources of odd types": (
        {"type": "PUSH_ARTIFACT", "event_data": {"resources": [5, {"resource_url": []}]}},
        202,
    ),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES)
def test_notifications_of_odd_types(
    served: Served, upstream: FakeRegistry, body: object, expected: int
) -> None:
    text = json.dumps(body).replace("up.example", upstream.host)
    answer = served.post("/api/v1/hook", data=text.encode())
    assert answer.status_code == expected
    if expected == 202:
        assert answer.json() == {"images": [], "failed": []}


ENCODED = {
    "no gzip at all": ("gzip", b"this is no gzip"),
    "gzip that is cut": ("gzip", gzip.compress(b"{}" * 1000)[:20]),
    "gzip that is damaged": ("gzip", gzip.compress(b"{}" * 1000)[:-8] + b"12345678"),
    "no deflate": ("deflate", b"\xff\xff\xff\xff"),
    "an unknown coding": ("x-unknown", b"{}"),
}


@pytest.mark.parametrize(("coding", "body"), ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("path", ["hook", "warm"])
def test_bodies_that_cannot_be_decoded(served: Served, path: str, coding: str, body: bytes) -> None:
    answer = served.post(f"/api/v1/{path}", data=body, headers={"Content-Encoding": coding})
    assert answer.status_code in (400, 415)


def test_a_packed_notification_is_unpacked(served: Served, upstream: FakeRegistry) -> None:
    app().push(upstream, "app", "1")
    body = gzip.compress(json.dumps(notification(upstream.host, "app", "1")).encode())
    answer = served.post("/api/v1/hook", data=body, headers={"Content-Encoding": "gzip"})
    assert [image["image"] for image in answer.json()["images"]] == [f"{UP}/app:1"]
    wait_until_idle(served)


def test_a_body_that_unpacks_without_end_is_refused(served: Served) -> None:
    body = gzip.compress(b" " * (64 << 20))
    answer = served.post("/api/v1/hook", data=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413


IMAGES = {"a number": 5, "a list": [f"{UP}/app:1"], "nothing": None, "truth": True}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_names_of_images_are_texts(served: Served, image: object) -> None:
    assert served.post("/api/v1/warm", json={"image": image}).status_code == 400


# Other sites.

FOREIGN = {
    "an origin": {"Origin": "https://evil.example"},
    "an origin of nobody": {"Origin": "null"},
    "what browsers say by themselves": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("path", ["hook", "warm"])
def test_pages_of_other_sites_start_nothing(
    served: Served, upstream: FakeRegistry, path: str, headers: dict[str, str]
) -> None:
    """A form can send text/plain anywhere, without being asked."""
    app().push(upstream, "app", "1")
    body: object = notification(upstream.host, "app", "1")
    if path == "warm":
        body = {"image": f"{UP}/app:1"}
    headers = {**headers, "Content-Type": "text/plain"}
    answer = served.post(f"/api/v1/{path}", data=json.dumps(body), headers=headers)
    assert answer.status_code == 403
    assert upstream.requests == ()


def test_with_its_token_a_webhook_may_come_from_anywhere(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, hook={"token": "t"})) as served:
        headers = {"Origin": "https://ci.example", "Authorization": "t"}
        document = notification(upstream.host, "app", "1")
        assert served.post("/api/v1/hook", json=document, headers=headers).status_code == 202
        wait_until_idle(served)


CONTROL = ("/", "/api/v1/status", "/metrics", "/assets/page.js")
HOSTS = {
    "a name of the web": ("evil.example", 403),
    "such a name with a port": ("evil.example:5000", 403),
    "localhost": ("localhost:5000", 200),
    "a name below localhost": ("app.localhost", 200),
    "another case": ("LocalHost", 200),
    "a name of this network": ("cache", 200),
    "an address": ("192.168.1.5:5000", 200),
    "an address of IPv6": ("[::1]:5000", 200),
    "a name of the configuration": ("cache.example", 200),
}


@pytest.mark.parametrize(("host", "expected"), HOSTS.values(), ids=HOSTS)
def test_a_rebound_name_reaches_nothing(
    upstream: FakeRegistry, tmp_path: Path, host: str, expected: int
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, hosts=["cache.example"])) as served:
        for path in CONTROL:
            assert served.get(path, headers={"Host": host}).status_code == expected
        headers = {"Host": host, "Origin": f"http://{host}"}
        body = {"image": f"{UP}/app:1"}
        warmed = served.post("/api/v1/warm", json=body, headers=headers).status_code
        assert warmed == (403 if expected == 403 else 202)
        assert served.get("/healthz", headers={"Host": host}).status_code == 200
        wait_until_idle(served)


# Digests in warm.


def test_a_digest_is_what_is_warmed(served: Served, upstream: FakeRegistry) -> None:
    """Not what the tag has now."""
    old = app("old").push(upstream, "app", "1")
    app("new").push(upstream, "app", "1")
    served.post("/api/v1/warm", json={"image": f"{UP}/app:1@{old}"})
    wait_until_idle(served)
    [image] = served.get("/api/v1/status").json()["images"]
    assert image["source_digest"] == old
    missing = f"{UP}/app:1@sha256:{'0' * 64}"
    assert served.post("/api/v1/warm", json={"image": missing}).status_code == 404


# The page and the metrics.


def test_with_upstream_s_access_the_page_is_off_unless_asked_for(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """A proxy on the machine makes everybody look local."""
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    with run_serve(settings(upstream, tmp_path, auth="upstream")) as served:
        assert served.get("/").status_code == 403
        assert served.get("/api/v1/status").status_code == 403
    with run_serve(settings(upstream, tmp_path, auth="upstream", page=True)) as served:
        assert served.get("/api/v1/status").status_code == 200
        assert served.get("/api/v1/status", headers=forwarded).status_code == 403
    with run_serve(settings(upstream, tmp_path, page=False)) as served:
        assert served.get("/").status_code == 403


METRICS = {"everyone": 200, "nobody": 403}


@pytest.mark.parametrize(("who", "expected"), METRICS.items(), ids=METRICS)
def test_who_may_read_metrics(
    upstream: FakeRegistry, tmp_path: Path, who: str, expected: int
) -> None:
    with run_serve(settings(upstream, tmp_path, metrics=who)) as served:
        assert served.get("/metrics").status_code == expected
