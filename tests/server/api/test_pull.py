"""The pull API, as clients see it (OCI distribution specification 1.1)."""

from __future__ import annotations

import http.client
import json

import pytest

from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.mediatypes import Family
from squashproxy.testing import FakeRegistry, ImageBuilder
from tests.server.serving import UP, Served, app, both_platforms


def test_a_tag_is_squashed_once_and_then_comes_from_the_store(
    served: Served, upstream: FakeRegistry
) -> None:
    source = app().push(upstream, "app", "1")
    first, second = served.manifest("app", "1"), served.manifest("app", "1")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert first.headers["Docker-Content-Digest"] == digest_of(first.content) != source
    assert first.headers["X-Squashproxy-Source"] == "squashed"
    assert second.headers["X-Squashproxy-Source"] == "cached"
    assert first.headers["X-Squashproxy-Source-Digest"] == source
    assert first.headers["Content-Type"] == mediatypes.OCI_MANIFEST
    assert len(first.json()["layers"]) == 2


def test_head_says_what_get_does(served: Served, upstream: FakeRegistry) -> None:
    app().push(upstream, "app", "1")
    head = served.head(f"/v2/{UP}/app/manifests/1")
    got = served.manifest("app", "1")
    assert head.content == b""
    for name in ("Docker-Content-Digest", "Content-Type", "Content-Length", "ETag"):
        assert head.headers[name] == got.headers[name]


def test_the_parts_of_a_squashed_image_are_there(served: Served, upstream: FakeRegistry) -> None:
    app().push(upstream, "app", "1")
    manifest = served.manifest("app", "1").json()
    for part in (manifest["config"], *manifest["layers"]):
        head = served.head(f"/v2/{UP}/app/blobs/{part['digest']}")
        got = served.blob("app", part["digest"])
        assert (head.status_code, got.status_code) == (200, 200)
        assert int(head.headers["Content-Length"]) == len(got.content) == part["size"]
        assert digest_of(got.content) == part["digest"] == got.headers["Docker-Content-Digest"]
        assert got.headers["X-Squashproxy-Source"] == "cached"


def test_an_original_is_passed_through_by_digest_and_cached(
    served: Served, upstream: FakeRegistry
) -> None:
    source = app().push(upstream, "app", "1")
    first = served.manifest("app", source)
    assert first.content == upstream.manifest("app", source).data
    assert first.headers["X-Squashproxy-Source"] == "original"
    layer = first.json()["layers"][-1]["digest"]
    assert served.blob("app", layer).headers["X-Squashproxy-Source"] == "original"
    upstream.forget_requests()
    assert served.manifest("app", source).headers["X-Squashproxy-Source"] == "cached"
    assert served.blob("app", layer).headers["X-Squashproxy-Source"] == "cached"
    assert upstream.requests == ()


def test_head_of_what_is_not_cached_asks_upstream_alone(
    served: Served, upstream: FakeRegistry
) -> None:
    source = app().push(upstream, "app", "1")
    layer = json.loads(upstream.manifest("app", source).data)["layers"][0]
    assert served.head(f"/v2/{UP}/app/manifests/{source}").status_code == 200
    head = served.head(f"/v2/{UP}/app/blobs/{layer['digest']}")
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(layer["size"]))
    assert {exchange.method for exchange in upstream.requests} == {"HEAD"}


def test_three_ways_to_name_an_upstream(served: Served, upstream: FakeRegistry) -> None:
    app().push(upstream, "app", "1")
    prefixed = served.manifest("app", "1")
    mirrored = served.get(f"/v2/app/manifests/1?ns={UP}")
    both = served.get(f"/v2/{UP}/app/manifests/1?ns={UP}")
    served.urls.reverse()
    plain = served.get("/v2/app/manifests/1")
    digests = {
        answer.headers["Docker-Content-Digest"] for answer in (prefixed, mirrored, both, plain)
    }
    assert len(digests) == 1
    assert mirrored.headers["OCI-Namespace"] == UP
    assert "OCI-Namespace" not in prefixed.headers


@pytest.mark.parametrize("family", list(Family))
def test_a_client_that_does_not_take_the_squashed_type_gets_the_original(
    served: Served, upstream: FakeRegistry, family: Family
) -> None:
    """What is squashed is OCI, whatever it was before; nothing is converted on request."""
    image = ImageBuilder(family)
    image.layer(b"\0" * 1024).layer(b"\0" * 1024).layer(b"\0" * 1024)
    source = image.push(upstream, "app", "1")
    only_docker = {"Accept": mediatypes.DOCKER_MANIFEST}
    answer = served.manifest("app", "1", headers=only_docker)
    assert answer.headers["Docker-Content-Digest"] == source
    answer = served.manifest("app", "1", headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"] == mediatypes.OCI_MANIFEST


RANGES = {
    "the first bytes": ("bytes=0-9", 206, 0, 10),
    "from the middle": ("bytes=100-", 206, 100, None),
    "the last bytes": ("bytes=-7", 206, -7, None),
    "past the end": ("bytes=10-99999999", 206, 10, None),
    "several are ignored": ("bytes=0-1,5-6", 200, 0, None),
    "another unit is ignored": ("lines=0-1", 200, 0, None),
    "backwards is ignored": ("bytes=9-3", 200, 0, None),
}


@pytest.mark.parametrize(("header", "status", "start", "end"), RANGES.values(), ids=RANGES)
@pytest.mark.parametrize("is_cached", [True, False], ids=["cached", "on its way"])
def test_ranges(
    served: Served,
    upstream: FakeRegistry,
    *,
    header: str,
    status: int,
    start: int,
    end: int | None,
    is_cached: bool,
) -> None:
    source = app().push(upstream, "app", "1")
    digest = json.loads(upstream.manifest("app", source).data)["layers"][0]["digest"]
    whole = upstream.blob("app", digest)
    if is_cached:
        served.blob("app", digest)
    answer = served.blob("app", digest, headers={"Range": header})
    assert answer.status_code == status
    assert answer.content == whole[start:end]
    if status == 206:
        begin = len(whole) + start if start < 0 else start
        last = begin + len(answer.content) - 1
        assert answer.headers["Content-Range"] == f"bytes {begin}-{last}/{len(whole)}"


def test_a_range_of_nothing(served: Served, upstream: FakeRegistry) -> None:
    digest = upstream.put_blob("app", b"0123456789")
    answer = served.blob("app", digest, headers={"Range": "bytes=10-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */10"
    assert answer.json()["errors"][0]["code"] == "RANGE_INVALID"


def test_if_range(served: Served, upstream: FakeRegistry) -> None:
    digest = upstream.put_blob("app", b"0123456789")
    same = served.blob("app", digest, headers={"Range": "bytes=5-", "If-Range": f'"{digest}"'})
    other = served.blob("app", digest, headers={"Range": "bytes=5-", "If-Range": '"x"'})
    assert (same.content, other.content) == (b"56789", b"0123456789")


def test_an_empty_blob(served: Served, upstream: FakeRegistry) -> None:
    digest = upstream.put_blob("app", b"")
    for _ in range(2):
        answer = served.blob("app", digest)
        assert (answer.status_code, answer.content) == (200, b"")


def test_tags_page_by_page(served: Served, upstream: FakeRegistry) -> None:
    for tag in ("b", "a", "d", "c"):
        app().push(upstream, "app", tag)
    path = f"/v2/{UP}/app/tags/list"
    assert served.get(path).json() == {"name": f"{UP}/app", "tags": ["a", "b", "c", "d"]}
    page = served.get(f"{path}?n=3")
    assert page.json()["tags"] == ["a", "b", "c"]
    assert page.links["next"]["url"] == f"{path}?n=3&last=c"
    assert served.get(f"{path}?n=3&last=c").json()["tags"] == ["d"]
    assert "Link" not in served.get(f"{path}?n=3&last=c").headers
    assert served.get(f"{path}?n=0").json()["tags"] == []
    for number in ("x", "-1", "9" * 5000, "%D9%A3", ""):
        assert served.get(f"{path}?n={number}").status_code == 400


def test_referrers_are_an_empty_index(served: Served, upstream: FakeRegistry) -> None:
    source = app().push(upstream, "app", "1")
    answer = served.get(f"/v2/{UP}/app/referrers/{source}")
    assert answer.headers["Content-Type"] == mediatypes.OCI_INDEX
    assert answer.json()["manifests"] == []


def test_an_index_is_squashed_whole(served: Served, upstream: FakeRegistry) -> None:
    """All platforms together: the digest of the index is that of its children."""
    both_platforms().push(upstream, "app", "1")
    index = served.manifest("app", "1")
    assert index.headers["Content-Type"] == mediatypes.OCI_INDEX
    assert len(index.json()["manifests"]) == 2
    for child in index.json()["manifests"]:
        manifest = served.manifest("app", child["digest"])
        assert manifest.headers["X-Squashproxy-Source"] == "cached"
        assert len(manifest.json()["layers"]) == 2


ZEROS = f"sha256:{'0' * 64}"
BAD_REQUESTS = {
    "no upstream in the name": ("GET", "/v2/app/manifests/1", 404, "NAME_UNKNOWN"),
    "an unknown upstream": ("GET", "/v2/other.example/app/manifests/1", 404, "NAME_UNKNOWN"),
    "a ns that is not allowed": ("GET", "/v2/app/manifests/1?ns=evil.example", 404, "NAME_UNKNOWN"),
    "a ns that is an address": ("GET", "/v2/app/tags/list?ns=169.254.1.1", 404, "NAME_UNKNOWN"),
    "an empty ns": ("GET", "/v2/app/manifests/1?ns=", 404, "NAME_UNKNOWN"),
    "dots in the path": ("GET", f"/v2/{UP}/../../etc/passwd/manifests/1", 400, "NAME_INVALID"),
    "dots, encoded": ("GET", f"/v2/{UP}/%2e%2e/app/manifests/1", 400, "NAME_INVALID"),
    "a slash, encoded": ("GET", f"/v2/{UP}/a%2fb/manifests/1", 400, "NAME_INVALID"),
    "capital letters": ("GET", f"/v2/{UP}/App/manifests/1", 400, "NAME_INVALID"),
    "a very long name": ("GET", f"/v2/{UP}/{'a' * 600}/manifests/1", 400, "NAME_INVALID"),
    "an unknown repository": ("GET", f"/v2/{UP}/none/manifests/1", 404, "MANIFEST_UNKNOWN"),
    "an unknown tag": ("GET", f"/v2/{UP}/app/manifests/none", 404, "MANIFEST_UNKNOWN"),
    "a tag that is none": ("GET", f"/v2/{UP}/app/manifests/.x", 404, "MANIFEST_UNKNOWN"),
    "an unknown digest": ("GET", f"/v2/{UP}/app/manifests/{ZEROS}", 404, "MANIFEST_UNKNOWN"),
    "a short digest": ("GET", f"/v2/{UP}/app/manifests/sha256:abc", 400, "DIGEST_INVALID"),
    "another kind of digest": ("GET", f"/v2/{UP}/app/blobs/md5:{'0' * 32}", 400, "DIGEST_INVALID"),
    "a digest in capitals": ("GET", f"/v2/{UP}/app/blobs/sha256:{'A' * 64}", 400, "DIGEST_INVALID"),
    "a blob that is no digest": ("GET", f"/v2/{UP}/app/blobs/1", 400, "DIGEST_INVALID"),
    "an unknown blob": ("GET", f"/v2/{UP}/app/blobs/{ZEROS}", 404, "BLOB_UNKNOWN"),
    "referrers of no digest": ("GET", f"/v2/{UP}/app/referrers/1", 400, "DIGEST_INVALID"),
    "no such address": ("GET", "/v2/_catalog", 404, "UNSUPPORTED"),
    "a manifest pushed": ("PUT", f"/v2/{UP}/app/manifests/1", 405, "UNSUPPORTED"),
    "an upload begun": ("POST", f"/v2/{UP}/app/blobs/uploads/", 405, "UNSUPPORTED"),
    "an upload asked for": ("GET", f"/v2/{UP}/app/blobs/uploads/1", 405, "UNSUPPORTED"),
    "a tag deleted": ("DELETE", f"/v2/{UP}/app/manifests/1", 405, "UNSUPPORTED"),
    "the base patched": ("PATCH", "/v2/", 405, "UNSUPPORTED"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "code"), BAD_REQUESTS.values(), ids=BAD_REQUESTS
)
def test_bad_requests(
    served: Served, upstream: FakeRegistry, *, method: str, path: str, status: int, code: str
) -> None:
    app().push(upstream, "app", "1")
    upstream.forget_requests()
    answer = _send_as_written(served, method, path)
    assert answer[0] == status
    error = json.loads(answer[1])["errors"][0]
    assert error["code"] == code
    assert error["message"]
    if status in (400, 405):
        assert upstream.requests == ()


def _send_as_written(served: Served, method: str, path: str) -> tuple[int, bytes]:
    """Send a path as it is: requests and urllib3 would tidy it up."""
    connection = http.client.HTTPConnection(served.host, timeout=30)
    try:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_base_of_the_api(served: Served) -> None:
    answer = served.get("/v2/")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_ten_thousand_headers(served: Served) -> None:
    headers = {f"X-{number}": "x" for number in range(10_000)}
    answer = served.get("/v2/", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "UNSUPPORTED"
    assert served.get("/v2/").status_code == 200
