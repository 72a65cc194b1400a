"""The push half of the API, request by request, over a real socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import Digest, Hasher, digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import encode_json
from squashproxy.testing import (
    FakeRegistry,
    ImageBuilder,
    LayerBuilder,
    artifact_manifest,
    index_of,
)
from tests.pipeline.indexes import build_cache

Make = Callable[..., FakeRegistry]
Connect = Callable[[FakeRegistry], Any]

BLOB = b"0123456789" * 10
DIGEST = digest_of(BLOB)
WRONG = digest_of(b"other")
OCI = {"Content-Type": mediatypes.OCI_MANIFEST}


@pytest.fixture
def image() -> ImageBuilder:
    return ImageBuilder().layer(LayerBuilder().file("a", b"data"))


def with_digest(location: str, digest: str = DIGEST) -> str:
    return f"{location}&digest={digest}"


@pytest.mark.parametrize("directory", [False, True], ids=["in memory", "in a directory"])
def test_one_streamed_patch(
    registries: Make, connect: Connect, tmp_path: Path, directory: bool
) -> None:
    registry = registries(directory=tmp_path / "blobs" if directory else None)
    client = connect(registry)
    begun = client.ask("POST", "/v2/app/blobs/uploads/")
    assert (begun.status, begun.headers["Range"]) == (202, "0-0")
    assert registry.open_uploads == 1
    fed = client.ask("PATCH", begun.headers["Location"], iter([BLOB[:7], BLOB[7:]]))
    assert (fed.status, fed.headers["Range"]) == (202, "0-99")
    done = client.ask("PUT", with_digest(fed.headers["Location"]))
    assert done.status == 201
    assert done.headers["Docker-Content-Digest"] == DIGEST
    assert done.headers["Location"] == f"{registry.url}/v2/app/blobs/{DIGEST}"
    assert registry.open_uploads == 0
    assert registry.blob("app", DIGEST) == BLOB
    assert (
        client.ask("GET", done.headers["Location"], headers={"Range": "bytes=90-"}).body
        == (BLOB[90:])
    )


def test_chunks_with_ranges_and_the_last_bytes_in_the_put(
    registry: FakeRegistry, client: Any
) -> None:
    location = client.begin()
    fed = client.ask("PATCH", location, BLOB[:60], {"Content-Range": "0-59"})
    assert (fed.status, fed.headers["Range"]) == (202, "0-59")
    status = client.ask("GET", fed.headers["Location"])
    assert (status.status, status.headers["Range"]) == (204, "0-59")
    assert status.headers["Location"] == fed.headers["Location"]
    assert client.ask("GET", location).code == "BLOB_UPLOAD_INVALID"
    done = client.ask(
        "PUT", with_digest(fed.headers["Location"]), BLOB[60:], {"Content-Range": "60-99"}
    )
    assert done.status == 201
    assert registry.blob("app", DIGEST) == BLOB


def test_a_chunk_at_the_wrong_place_says_where_the_right_one_is(client: Any) -> None:
    fed = client.ask("PATCH", client.begin(), BLOB[:60], {"Content-Range": "0-59"})
    location = fed.headers["Location"]
    for stated, body in (("70-79", BLOB[70:80]), ("0-59", BLOB[:60])):
        reply = client.ask("PATCH", location, body, {"Content-Range": stated})
        assert (reply.status, reply.code) == (416, "RANGE_INVALID")
        assert reply.headers["Range"] == "0-59"
        assert reply.headers["Location"] == location


def test_a_whole_blob_in_one_post(registry: FakeRegistry, client: Any) -> None:
    path = "/v2/app/blobs/uploads/?digest="
    assert client.ask("POST", path + DIGEST, BLOB).status == 201
    assert registry.blob("app", DIGEST) == BLOB
    wrong = client.ask("POST", path + WRONG, BLOB)
    assert (wrong.status, wrong.code) == (400, "DIGEST_INVALID")
    assert registry.open_uploads == 0


def test_a_blob_may_be_named_by_its_sha512(registry: FakeRegistry, client: Any) -> None:
    hasher = Hasher(Digest("sha512:"))
    hasher.update(BLOB)
    assert client.ask("PUT", with_digest(client.begin(), hasher.digest), BLOB).status == 201
    assert registry.blob("app", hasher.digest) == BLOB


@pytest.mark.parametrize(
    ("method", "suffix", "body", "headers", "status", "code", "left_open"),
    [
        pytest.param("PUT", "", BLOB, {}, 400, "DIGEST_INVALID", 1, id="no digest"),
        pytest.param(
            "PUT", f"&digest={WRONG}", BLOB, {}, 400, "DIGEST_INVALID", 0, id="wrong digest"
        ),
        pytest.param(
            "PATCH", "x", BLOB, {}, 404, "BLOB_UPLOAD_INVALID", 1, id="the query was changed"
        ),
        pytest.param(
            "PATCH",
            "",
            BLOB,
            {"Content-Range": "0-9"},
            400,
            "SIZE_INVALID",
            1,
            id="range and length disagree",
        ),
        pytest.param(
            "PATCH",
            "",
            BLOB,
            {"Content-Range": "all of it"},
            400,
            "RANGE_INVALID",
            1,
            id="no range",
        ),
    ],
)
def test_refuses_an_upload(
    *,
    registry: FakeRegistry,
    client: Any,
    method: str,
    suffix: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
    left_open: int,
) -> None:
    reply = client.ask(method, client.begin() + suffix, body, headers)
    assert (reply.status, reply.code) == (status, code)
    assert registry.open_uploads == left_open
    assert registry.blobs("app") == frozenset()


def test_a_cancelled_upload_is_gone(registry: FakeRegistry, client: Any) -> None:
    location = client.begin()
    assert client.ask("DELETE", location).status == 204
    assert registry.open_uploads == 0
    assert client.ask("GET", location).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize(
    ("options", "query", "status"),
    [
        pytest.param({}, f"mount={DIGEST}&from=base", 201, id="mounted"),
        pytest.param({}, f"mount={WRONG}&from=base", 202, id="no such blob"),
        pytest.param({}, f"mount={DIGEST}&from=none", 202, id="no such repository"),
        pytest.param({}, f"mount={DIGEST}", 202, id="from nowhere"),
        pytest.param({"mounts": False}, f"mount={DIGEST}&from=base", 202, id="mounts are off"),
    ],
)
def test_mount(
    registries: Make, connect: Connect, options: dict[str, Any], query: str, status: int
) -> None:
    registry = registries(**options)
    registry.put_blob("base", BLOB)
    reply = connect(registry).ask("POST", f"/v2/app/blobs/uploads/?{query}")
    assert reply.status == status
    assert registry.open_uploads == (status == 202)
    assert (DIGEST in registry.blobs("app")) == (status == 201)


@pytest.mark.parametrize(
    ("options", "headers", "status"),
    [
        pytest.param({"ranged_uploads": False}, {"Content-Range": "0-99"}, 400, id="no ranges"),
        pytest.param({"ranged_uploads": False}, {}, 202, id="no ranges, but streams"),
        pytest.param({"streamed_uploads": False}, {}, 400, id="no streams"),
        pytest.param(
            {"streamed_uploads": False}, {"Content-Range": "0-99"}, 202, id="no streams, but ranges"
        ),
        pytest.param({"read_only": True}, {}, 405, id="read-only"),
        pytest.param({"capacity": 99}, {}, 507, id="no space left"),
        pytest.param({"capacity": 100}, {}, 202, id="just enough space"),
    ],
)
def test_patch_of_difficult_registries(
    registries: Make,
    connect: Connect,
    options: dict[str, Any],
    headers: dict[str, str],
    status: int,
) -> None:
    client = connect(registries(**options))
    if "read_only" in options:
        assert client.ask("POST", "/v2/app/blobs/uploads/").status == status
        return
    assert client.ask("PATCH", client.begin(), BLOB, headers).status == status


def test_space_comes_back_when_an_upload_is_cancelled(registries: Make, connect: Connect) -> None:
    client = connect(registries(capacity=150))
    location = client.ask("PATCH", client.begin(), BLOB).headers["Location"]
    assert client.ask("PATCH", client.begin(), BLOB).status == 507
    client.ask("DELETE", location)
    assert client.ask("PATCH", client.begin(), BLOB).status == 202


def test_only_the_last_chunk_may_be_short(registries: Make, connect: Connect) -> None:
    client = connect(registries(chunk_min_length=50))
    begun = client.ask("POST", "/v2/app/blobs/uploads/")
    assert begun.headers["OCI-Chunk-Min-Length"] == "50"
    location = begun.headers["Location"]
    for start, stop in ((0, 50), (50, 60)):
        headers = {"Content-Range": f"{start}-{stop - 1}"}
        fed = client.ask("PATCH", location, BLOB[start:stop], headers)
        assert fed.status == 202
        location = fed.headers["Location"]
    late = client.ask("PATCH", location, BLOB[60:], {"Content-Range": "60-99"})
    assert (late.status, late.code) == (400, "SIZE_INVALID")
    assert client.ask("PUT", with_digest(location, digest_of(BLOB[:60]))).status == 201


def test_locations_may_be_relative(registries: Make, connect: Connect) -> None:
    registry = registries(relative_locations=True)
    client = connect(registry)
    assert client.begin().startswith("/v2/app/blobs/uploads/")
    done = client.ask("PUT", with_digest(client.begin()), BLOB)
    assert done.headers["Location"] == f"/v2/app/blobs/{DIGEST}"


def test_a_manifest_by_tag_and_by_digest(
    registry: FakeRegistry, client: Any, image: ImageBuilder
) -> None:
    built = image.build()
    for blob in built.blobs.values():
        registry.put_blob("app", blob)
    for selector in ("1.0", built.digest):
        reply = client.ask("PUT", f"/v2/app/manifests/{selector}", built.manifest.data, OCI)
        assert (reply.status, reply.headers["Docker-Content-Digest"]) == (201, built.digest)
    assert registry.tags("app") == {"1.0": built.digest}
    assert registry.manifest("app", "1.0") == built.manifest


def test_a_referrer_is_acknowledged(
    registry: FakeRegistry, client: Any, image: ImageBuilder
) -> None:
    built = image.build()
    built.push(registry, "app")
    subject = built.manifest.descriptor
    manifest = artifact_manifest("application/x.sbom", [], config=built.config, subject=subject)
    reply = client.ask("PUT", f"/v2/app/manifests/{manifest.digest}", manifest.data, OCI)
    assert (reply.status, reply.headers["OCI-Subject"]) == (201, subject.digest)


@pytest.mark.parametrize(
    ("selector", "body", "status", "code"),
    [
        pytest.param("1", None, 400, "MANIFEST_BLOB_UNKNOWN", id="blobs are absent"),
        pytest.param(WRONG, None, 400, "DIGEST_INVALID", id="another digest"),
        pytest.param(".1", None, 400, "TAG_INVALID", id="no tag"),
        pytest.param("1", b"{", 400, "MANIFEST_INVALID", id="no JSON"),
        pytest.param("1", b"[]", 400, "MANIFEST_INVALID", id="no object"),
        pytest.param("1", b'{"layers": [1]}', 400, "MANIFEST_INVALID", id="no descriptor"),
        pytest.param("1", b" " * (4 << 20) + b"{}", 413, "SIZE_INVALID", id="above 4 MiB"),
    ],
)
def test_refuses_a_manifest(
    *,
    registry: FakeRegistry,
    client: Any,
    image: ImageBuilder,
    selector: str,
    body: bytes | None,
    status: int,
    code: str,
) -> None:
    data = image.build().manifest.data if body is None else body
    reply = client.ask("PUT", f"/v2/app/manifests/{selector}", data, OCI)
    assert (reply.status, reply.code) == (status, code)
    assert registry.tags("app") == {}


def test_an_index_may_list_blobs_that_are_there(registry: FakeRegistry, client: Any) -> None:
    """As the cache of BuildKit does: distribution looks for blobs, too."""
    cache = build_cache()
    headers = {"Content-Type": cache.manifest.media_type}
    reply = client.ask("PUT", "/v2/app/manifests/1", cache.manifest.data, headers)
    assert (reply.status, reply.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    for data in cache.blobs:
        registry.put_blob("app", data)
    assert client.ask("PUT", "/v2/app/manifests/1", cache.manifest.data, headers).status == 201


def test_refuses_an_index_whose_children_are_absent(
    registry: FakeRegistry, client: Any, image: ImageBuilder
) -> None:
    index = index_of([image])
    headers = {"Content-Type": index.manifest.media_type}
    reply = client.ask("PUT", "/v2/app/manifests/1", index.manifest.data, headers)
    assert (reply.status, reply.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    image.push(registry, "app")
    reply = client.ask("PUT", "/v2/app/manifests/1", index.manifest.data, headers)
    assert reply.status == 201


def test_foreign_layers_may_be_absent(registry: FakeRegistry, client: Any) -> None:
    config = registry.put_blob("app", b"{}")
    layer = {"mediaType": mediatypes.DOCKER_FOREIGN_LAYER, "digest": WRONG, "size": 5}
    named = {"mediaType": mediatypes.DOCKER_CONFIG, "digest": config, "size": 2}
    data = encode_json({"schemaVersion": 2, "config": named, "layers": [layer]})
    headers = {"Content-Type": mediatypes.DOCKER_MANIFEST}
    assert client.ask("PUT", "/v2/app/manifests/1", data, headers).status == 201


def test_deleting_a_tag_keeps_the_manifest_and_its_other_tags(
    registry: FakeRegistry, client: Any, image: ImageBuilder
) -> None:
    digest = image.push(registry, "app", "1")
    image.push(registry, "app", "2")
    assert client.ask("DELETE", "/v2/app/manifests/1").status == 202
    assert registry.tags("app") == {"2": digest}
    assert client.ask("DELETE", f"/v2/app/manifests/{digest}").status == 202
    assert registry.tags("app") == {}
    assert registry.manifests("app") == frozenset()
    assert client.ask("DELETE", f"/v2/app/manifests/{digest}").code == "MANIFEST_UNKNOWN"


def test_deleting_a_blob(registry: FakeRegistry, client: Any) -> None:
    for repo in ("app", "other"):
        registry.put_blob(repo, BLOB)
    assert client.ask("DELETE", f"/v2/app/blobs/{DIGEST}").status == 202
    assert client.ask("DELETE", f"/v2/app/blobs/{DIGEST}").code == "BLOB_UNKNOWN"
    assert registry.blob("other", DIGEST) == BLOB


def test_deletes_may_be_off(registries: Make, connect: Connect, image: ImageBuilder) -> None:
    registry = registries(deletes=False)
    image.push(registry, "app", "1")
    client = connect(registry)
    assert client.ask("DELETE", "/v2/app/manifests/1").code == "UNSUPPORTED"
    assert client.ask("DELETE", client.begin()).status == 204
