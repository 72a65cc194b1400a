"""Answers about a session that are odd or cut: none leaves a session open at the registry."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.request import Request, urlopen

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import RegistryError
from squashproxy.oci import mediatypes
from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions

BLOB = b"blob " * 1000
DIGEST = digest_of(BLOB)
CHUNKED = ("Transfer-Encoding", "chunked")
CUT: dict[str, dict[str, Any]] = {
    "a byte short": {"headers": (("Content-Length", "1"),)},
    "chunks without the last": {"headers": (CHUNKED,), "body": b"1\r\nx\r\n"},
    "half a chunk": {"headers": (CHUNKED,), "body": b"ff\r\nx"},
    "no chunk": {"headers": (CHUNKED,), "body": b""},
    "no size of a chunk": {"headers": (CHUNKED,), "body": b"x\r\n"},
    "half of what is packed": {
        "headers": (("Content-Encoding", "gzip"),),
        "body": b"\x1f\x8b\x08\x00",
    },
    "packed in an unknown way": {"headers": (("Content-Encoding", "br"),), "body": b"x"},
    "half a document": {"headers": (("Content-Type", "application/json"),), "body": b'{"a": '},
}


def altered(method: str, **others: Any) -> Fault:
    return Fault(method, "/uploads/", FaultKind.ALTER, **others)


def asked(registry: FakeRegistry) -> str:
    return " ".join(each.method for each in registry.requests)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize("body", CUT.values(), ids=CUT)
def test_the_head_of_an_answer_says_all(
    registry: FakeRegistry, app: RemoteRepository, method: str, body: dict[str, Any]
) -> None:
    registry.arm(altered(method, **body))
    assert app.upload_blob([BLOB]) == (DIGEST, len(BLOB))
    assert asked(registry) == "POST PATCH PUT"
    assert registry.open_uploads == 0


@pytest.mark.parametrize("body", CUT.values(), ids=CUT)
def test_the_head_of_a_declined_mount_says_all(
    client: RegistryClient, body: dict[str, Any]
) -> None:
    with FakeRegistry(RegistryOptions(mounts=False)) as registry:
        registry.arm(altered("POST", **body))
        app = client.repository(parse_repository(f"{registry.host}/app"))
        other = parse_repository(f"{registry.host}/other")
        assert not app.try_mount(DIGEST, other)
        assert asked(registry) == "POST DELETE"
        assert registry.open_uploads == 0


ASTRAY = {
    "no session": "/v2/app/blobs/uploads/not-there",
    "the front page": "/v2/",
    "no page": "/",
    "a list": "/v2/app/tags/list",
    "a dead port": "http://127.0.0.1:1/x",
    "a dead port with TLS": "https://127.0.0.1:1/x",
    "no web address": "ftp://127.0.0.1/x",
}
LARGE = b"blob " * 1_300_000
"""A blob of two chunks."""


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("location", ASTRAY.values(), ids=ASTRAY)
def test_a_chunk_whose_answer_leads_astray(
    registry: FakeRegistry, app: RemoteRepository, location: str, skip: int
) -> None:
    """The session is cancelled where the chunk was accepted."""
    registry.arm(altered("PATCH", headers=(("Location", location),), skip=skip))
    with suppress(RegistryError):
        app.upload_blob([LARGE])
    assert registry.open_uploads == 0


@pytest.mark.parametrize("location", ASTRAY.values(), ids=ASTRAY)
def test_a_position_whose_answer_leads_astray(
    registry: FakeRegistry, app: RemoteRepository, location: str
) -> None:
    registry.arm(Fault("PATCH", "", status=503))
    registry.arm(altered("GET", headers=(("Location", location),)))
    with suppress(RegistryError):
        app.upload_blob([LARGE])
    assert registry.open_uploads == 0


def test_another_host_that_knows_no_session(registry: FakeRegistry, app: RemoteRepository) -> None:
    with FakeRegistry() as other:
        headers = (("Location", f"{other.url}/v2/app/blobs/uploads/x"),)
        registry.arm(altered("PATCH", headers=headers))
        assert app.upload_blob([LARGE]) == (digest_of(LARGE), len(LARGE))
        assert registry.open_uploads == 0


def test_a_registry_that_went_away_is_not_asked_at_two_addresses(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    registry.arm(Fault("PATCH", "", status=403, skip=1))
    registry.arm(Fault("DELETE", "", FaultKind.DROP, times=99))
    with pytest.raises(RegistryError):
        app.upload_blob([LARGE])
    assert asked(registry).count("DELETE") == 3


STATUSES = [200, 201, 203, 204, 205, 206, 207, 299]
PAGE = b"<html><title>Sign in</title>"


def begin_with(registry: FakeRegistry, status: int, body: bytes = b"") -> None:
    """Begin a session; the next POST is answered with its Location, and this status and body."""
    request = Request(f"{registry.url}/v2/app/blobs/uploads/", method="POST")
    with urlopen(request) as begun:
        headers = (("Location", str(begun.headers["Location"])),)
    registry.forget_requests()
    registry.arm(Fault("POST", "", status=status, headers=headers, body=body))


@pytest.mark.parametrize("status", STATUSES)
def test_a_session_that_begins_with_another_status(
    registry: FakeRegistry, app: RemoteRepository, status: int
) -> None:
    """That stays an error."""
    begin_with(registry, status)
    with pytest.raises(RegistryError, match=rf"the push to app.*\(HTTP {status}\)"):
        app.upload_blob([BLOB])
    assert asked(registry) == "POST DELETE"
    assert registry.open_uploads == 0


@pytest.mark.parametrize("status", STATUSES)
def test_a_mount_that_is_declined_with_another_status(
    registry: FakeRegistry, app: RemoteRepository, status: int
) -> None:
    begin_with(registry, status)
    assert not app.try_mount(DIGEST, parse_repository(f"{registry.host}/other"))
    assert asked(registry) == "POST DELETE"
    assert registry.open_uploads == 0


@pytest.mark.parametrize("status", [200, 202])
def test_a_session_that_begins_with_a_web_page(
    registry: FakeRegistry, app: RemoteRepository, status: int
) -> None:
    begin_with(registry, status, PAGE)
    with pytest.raises(RegistryError, match="answered with a web page"):
        app.upload_blob([BLOB])
    assert asked(registry) == "POST DELETE"
    assert registry.open_uploads == 0


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("repo", ["app", "blobs/uploads"])
def test_what_is_no_session_is_not_deleted(
    registry: FakeRegistry, client: RegistryClient, repo: str, status: int
) -> None:
    digest = registry.put_blob(repo, BLOB)
    headers = (("Location", f"/v2/{repo}/blobs/{digest}"),)
    registry.arm(Fault("POST", "", status=status, headers=headers, body=b"", times=2))
    remote = client.repository(parse_repository(f"{registry.host}/{repo}"))
    other = parse_repository(f"{registry.host}/other")
    assert remote.try_mount(digest, other) is (status == 201)
    with pytest.raises(RegistryError):
        remote.upload_blob([BLOB])
    assert asked(registry) == "POST POST"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("escaped", [False, True])
def test_content_is_not_deleted_in_place_of_a_session(
    registry: FakeRegistry, app: RemoteRepository, method: str, *, escaped: bool
) -> None:
    blob = registry.put_blob("app", b"{}")
    manifest = registry.put_manifest("app", "v1", b"{}", mediatypes.OCI_MANIFEST)
    for place in ("manifests/v1", f"manifests/{manifest}", f"blobs/{blob}", f"blobs/{blob}?a=b"):
        location = f"/v2/app/{place.replace(':', '%3a') if escaped else place}"
        registry.arm(altered(method, headers=(("Location", location),)))
        with suppress(RegistryError):
            app.upload_blob([BLOB])
    assert registry.tags("app") == {"v1": manifest}
    assert blob in registry.blobs("app")
    assert registry.open_uploads == (0 if method == "PATCH" else 4)
