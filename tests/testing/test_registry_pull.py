"""The pull half of the API, request by request, over a real socket."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.testing import (
    FakeRegistry,
    ImageBuilder,
    LayerBuilder,
    artifact_manifest,
    index_of,
)

Make = Callable[..., FakeRegistry]
Connect = Callable[[FakeRegistry], Any]

BLOB = bytes(range(256)) * 2
DIGEST = digest_of(BLOB)
ABSENT = "sha256:" + "0" * 64


@pytest.fixture
def image() -> ImageBuilder:
    return ImageBuilder().layer(LayerBuilder().file("a", b"data"))


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "expected_headers", "expected_body"),
    [
        pytest.param("GET", "/v2/", {}, 200, {}, b"{}", id="the API is there"),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {},
            200,
            {"Docker-Content-Digest": DIGEST, "Content-Length": "512", "Accept-Ranges": "bytes"},
            BLOB,
            id="a whole blob",
        ),
        pytest.param(
            "HEAD",
            f"/v2/app/blobs/{DIGEST}",
            {},
            200,
            {"Docker-Content-Digest": DIGEST, "Content-Length": "512"},
            b"",
            id="HEAD of a blob",
        ),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {"Range": "bytes=10-19"},
            206,
            {"Content-Range": "bytes 10-19/512", "Content-Length": "10"},
            BLOB[10:20],
            id="a range",
        ),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {"Range": "bytes=500-"},
            206,
            {"Content-Range": "bytes 500-511/512"},
            BLOB[500:],
            id="a range to the end",
        ),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {"Range": "bytes=500-9999"},
            206,
            {"Content-Range": "bytes 500-511/512"},
            BLOB[500:],
            id="a range past the end is cut",
        ),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {"Range": "bytes=-12"},
            206,
            {"Content-Range": "bytes 500-511/512"},
            BLOB[-12:],
            id="the last bytes",
        ),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {"Range": "bytes=0-1,4-5"},
            200,
            {"Content-Length": "512"},
            BLOB,
            id="several ranges give the whole",
        ),
        pytest.param(
            "GET",
            f"/v2/app/blobs/{DIGEST}",
            {"Range": "bytes=512-"},
            416,
            {"Content-Range": "bytes */512"},
            None,
            id="a range that starts at the end",
        ),
    ],
)
def test_answers(
    *,
    registry: FakeRegistry,
    client: Any,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    expected_headers: dict[str, str],
    expected_body: bytes | None,
) -> None:
    assert registry.put_blob("app", BLOB) == DIGEST
    reply = client.ask(method, path, headers=headers)
    assert reply.status == status
    assert {name: reply.headers[name] for name in expected_headers} == expected_headers
    if expected_body is not None:
        assert reply.body == expected_body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", "/v2/none/manifests/1", 404, "NAME_UNKNOWN", id="unknown repository"),
        pytest.param("GET", "/v2/app/manifests/2", 404, "MANIFEST_UNKNOWN", id="unknown tag"),
        pytest.param(
            "GET", f"/v2/app/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN", id="unknown manifest"
        ),
        pytest.param("GET", f"/v2/app/blobs/{ABSENT}", 404, "BLOB_UNKNOWN", id="unknown blob"),
        pytest.param("GET", "/v2/app/blobs/sha256:12", 400, "DIGEST_INVALID", id="no digest"),
        pytest.param("GET", "/v2/App/blobs/x", 400, "NAME_INVALID", id="upper case in a name"),
        pytest.param("GET", "/v2/none/tags/list", 404, "NAME_UNKNOWN", id="tags of nothing"),
        pytest.param("GET", "/v2/app/tags/list?n=x", 400, "UNSUPPORTED", id="n is no number"),
        pytest.param("POST", "/v2/", 405, "UNSUPPORTED", id="POST where only GET is"),
        pytest.param("PUT", "/v2/app/tags/list", 405, "UNSUPPORTED", id="PUT of a list"),
        pytest.param("BREW", "/v2/app/tags/list", 405, "UNSUPPORTED", id="an unknown method"),
        pytest.param("GET", "/v3/", 404, "NOT_FOUND", id="another path"),
    ],
)
def test_refuses(
    *,
    registry: FakeRegistry,
    client: Any,
    image: ImageBuilder,
    method: str,
    path: str,
    status: int,
    code: str,
) -> None:
    image.push(registry, "app", "1")
    reply = client.ask(method, path)
    assert (reply.status, reply.code) == (status, code)


def test_a_manifest_comes_by_tag_and_by_digest_with_its_type_and_exact_bytes(
    registry: FakeRegistry, client: Any, image: ImageBuilder
) -> None:
    built = image.build()
    digest = built.push(registry, "team/app", "1.0")
    for selector in ("1.0", digest):
        reply = client.ask("GET", f"/v2/team/app/manifests/{selector}")
        assert reply.body == built.manifest.data
        assert reply.headers["Content-Type"] == mediatypes.OCI_MANIFEST
        assert reply.headers["Docker-Content-Digest"] == digest
    head = client.ask("HEAD", "/v2/team/app/manifests/1.0")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(built.manifest.data)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        pytest.param(mediatypes.OCI_INDEX, 200, id="the type itself"),
        pytest.param(f"text/html, {mediatypes.OCI_INDEX};q=0.5", 200, id="among others"),
        pytest.param("*/*", 200, id="anything"),
        pytest.param(mediatypes.DOCKER_MANIFEST, 404, id="another type alone"),
    ],
)
def test_a_manifest_is_given_to_clients_that_can_read_it(
    registry: FakeRegistry, client: Any, image: ImageBuilder, accept: str, status: int
) -> None:
    index_of([image]).push(registry, "app", "multi")
    assert client.ask("GET", "/v2/app/manifests/multi", headers={"Accept": accept}).status == status


def test_blobs_belong_to_their_repository(registry: FakeRegistry, client: Any) -> None:
    registry.put_blob("one", BLOB)
    assert client.ask("HEAD", f"/v2/one/blobs/{DIGEST}").status == 200
    assert client.ask("HEAD", f"/v2/two/blobs/{DIGEST}").status == 404


def test_tags_come_in_pages_that_link_to_the_next(
    registries: Make, connect: Connect, image: ImageBuilder
) -> None:
    registry = registries(page_size=2)
    for tag in ("c", "a", "e", "b", "d"):
        image.push(registry, "app", tag)
    client, path, pages = connect(registry), "/v2/app/tags/list", []
    while path:
        reply = client.ask("GET", path)
        pages.append(reply.document["tags"])
        path = reply.headers["Link"]
        path = path and path.removeprefix("<").partition(">")[0]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert client.ask("GET", "/v2/app/tags/list?n=1&last=b").document["tags"] == ["c"]
    assert client.ask("GET", "/v2/app/tags/list?n=0").document["tags"] == []


def test_the_catalog_names_the_repositories(registry: FakeRegistry, client: Any) -> None:
    registry.put_blob("b", BLOB)
    registry.put_blob("a/x", BLOB)
    assert client.ask("GET", "/v2/_catalog").document == {"repositories": ["a/x", "b"]}


def test_referrers_are_an_index_that_can_be_filtered(
    registry: FakeRegistry, client: Any, image: ImageBuilder
) -> None:
    built = image.build()
    subject = built.push(registry, "app", "1")
    for kind in ("application/x.sbom", "application/x.signature"):
        manifest = artifact_manifest(
            kind, [], config=built.config, subject=built.manifest.descriptor
        )
        registry.put_manifest("app", None, manifest.data, manifest.media_type)
    everything = client.ask("GET", f"/v2/app/referrers/{subject}")
    assert everything.headers["Content-Type"] == mediatypes.OCI_INDEX
    assert len(everything.document["manifests"]) == 2
    path = f"/v2/app/referrers/{subject}?artifactType=application%2Fx.sbom"
    filtered = client.ask("GET", path)
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    types = [entry["artifactType"] for entry in filtered.document["manifests"]]
    assert types == ["application/x.sbom"]
    nothing = client.ask("GET", f"/v2/app/referrers/{ABSENT}")
    assert (nothing.status, nothing.document["manifests"]) == (200, [])


def test_a_registry_without_the_referrers_api_answers_404(
    registries: Make, connect: Connect
) -> None:
    client = connect(registries(referrers=False))
    assert client.ask("GET", f"/v2/app/referrers/{ABSENT}").status == 404


def test_a_registry_may_know_no_head_and_no_digest_header(
    registries: Make, connect: Connect, image: ImageBuilder
) -> None:
    registry = registries(head_manifests=False, digest_headers=False)
    image.push(registry, "app", "1")
    client = connect(registry)
    assert client.ask("HEAD", "/v2/app/manifests/1").status == 404
    reply = client.ask("GET", "/v2/app/manifests/1")
    assert reply.status == 200
    assert reply.headers["Docker-Content-Digest"] is None


def test_blobs_may_live_on_another_host(registries: Make, connect: Connect) -> None:
    storage = registries()
    front = registries(redirect_blobs_to=storage.host, shares=storage)
    front.put_blob("app", BLOB)
    reply = connect(front).ask("GET", f"/v2/app/blobs/{DIGEST}")
    assert reply.status == 307
    assert reply.headers["Location"] == f"http://{storage.host}/v2/app/blobs/{DIGEST}"
    assert connect(storage).ask("GET", reply.headers["Location"]).body == BLOB


def test_every_exchange_is_in_the_journal_in_order(registry: FakeRegistry, client: Any) -> None:
    registry.put_blob("app", BLOB)
    client.ask("HEAD", f"/v2/app/blobs/{DIGEST}")
    client.ask("GET", f"/v2/app/blobs/{DIGEST}", headers={"Range": "bytes=0-9"})
    client.ask("POST", f"/v2/app/blobs/uploads/?digest={DIGEST}", BLOB)
    seen = [(e.method, e.status, e.received, e.sent) for e in registry.requests]
    assert seen == [("HEAD", 200, 0, 0), ("GET", 206, 0, 10), ("POST", 201, 512, 0)]
    assert registry.requests[1].path == f"/v2/app/blobs/{DIGEST}"
    assert registry.requests[1].headers["range"] == "bytes=0-9"
    registry.forget_requests()
    assert registry.requests == ()


def test_what_is_absent_is_a_lookup_error_for_the_test(registry: FakeRegistry) -> None:
    registry.put_blob("app", BLOB)
    assert registry.blob("app", DIGEST) == BLOB
    with pytest.raises(LookupError, match="holds no blob"):
        registry.blob("app", ABSENT)
    with pytest.raises(LookupError, match="holds no manifest latest"):
        registry.manifest("app", "latest")
    assert registry.tags("none") == {}
    assert registry.blobs("none") == frozenset()


def test_a_header_sent_in_several_lines_counts_as_one_list(
    registry: FakeRegistry, image: ImageBuilder
) -> None:
    image.push(registry, "app", "1")
    connection = http.client.HTTPConnection(registry.host, timeout=20)
    connection.putrequest("GET", "/v2/app/manifests/1")
    for media_type in (mediatypes.OCI_MANIFEST, mediatypes.DOCKER_MANIFEST):
        connection.putheader("Accept", media_type)
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()
    accepted = f"{mediatypes.OCI_MANIFEST}, {mediatypes.DOCKER_MANIFEST}"
    assert registry.requests[0].headers["accept"] == accepted


def test_lists_may_be_cut_without_a_link(registries: Make, connect: Connect) -> None:
    registry = registries(page_size=2, links=False)
    for number in range(3):
        registry.put_manifest("app", f"v{number}", b"{}", mediatypes.OCI_MANIFEST)
    client = connect(registry)
    reply = client.ask("GET", "/v2/app/tags/list")
    assert (reply.document["tags"], reply.headers["Link"]) == (["v0", "v1"], None)
    assert client.ask("GET", "/v2/app/tags/list?last=v1").document["tags"] == ["v2"]


def test_last_may_be_ignored(registries: Make, connect: Connect) -> None:
    registry = registries(page_size=2, last=False)
    for number in range(3):
        registry.put_manifest("app", f"v{number}", b"{}", mediatypes.OCI_MANIFEST)
    reply = connect(registry).ask("GET", "/v2/app/tags/list?n=1&last=v1")
    assert (reply.document["tags"], reply.headers["Link"]) == (["v0", "v1", "v2"], None)


def test_a_size_may_be_too_much(registries: Make, connect: Connect) -> None:
    registry = registries(most_asked=100)
    registry.put_manifest("app", "v0", b"{}", mediatypes.OCI_MANIFEST)
    client = connect(registry)
    reply = client.ask("GET", "/v2/_catalog?n=101")
    assert (reply.status, reply.code) == (400, "PAGINATION_NUMBER_INVALID")
    for query in ("", "?n=100"):
        assert client.ask("GET", f"/v2/_catalog{query}").document == {"repositories": ["app"]}
