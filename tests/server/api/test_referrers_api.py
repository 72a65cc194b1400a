"""The referrers API (OCI distribution specification 1.1, listing referrers)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.oci.artifact import EMPTY, artifact_manifest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from squashproxy.registry.referrers import fallback_tag, with_referrer
from squashproxy.server.api.referrer_list import referrer_page
from squashproxy.testing import Basic, FakeRegistry, Fault, RegistryOptions
from tests.server.pull.signing import SHORT
from tests.server.serving import UP, Served, app, run_serve, settings

SBOM, NOTE = "application/spdx+json", "application/vnd.example.note+json"


def _attach(registry: FakeRegistry, subject: Digest, kind: str, text: str, size: int = 0) -> Digest:
    """Attach a document to the manifest of an image in the repository `app`."""
    data = text.encode()
    layer = Descriptor(kind, registry.put_blob("app", data), len(data))
    registry.put_blob("app", EMPTY)
    raw = artifact_manifest(
        kind,
        [layer],
        subject=registry.manifest("app", subject).descriptor,
        annotations={"text": text, "more": "x" * size},
    )
    digest = registry.put_manifest("app", None, raw.data, raw.media_type)
    if not registry.options.referrers:
        tag = fallback_tag(subject)
        listed: tuple[Descriptor, ...] = ()
        if tag in registry.tags("app"):
            document = json.loads(registry.manifest("app", tag).data)
            listed = tuple(
                Descriptor(
                    each["mediaType"],
                    each["digest"],
                    each["size"],
                    {key: each[key] for key in ("artifactType", "annotations")},
                )
                for each in document["manifests"]
            )
        listing = with_referrer(listed, raw)
        assert listing is not None
        registry.put_manifest("app", tag, listing.data, listing.media_type)
    return digest


def _path(subject: str, query: str = "") -> str:
    return f"/v2/{UP}/app/referrers/{subject}{query}"


def _list(served: Served, subject: str, query: str = "") -> list[str]:
    answer = served.get(_path(subject, query))
    assert answer.status_code == 200, answer.text
    return [each["digest"] for each in answer.json()["manifests"]]


@pytest.mark.parametrize("lists", [True, False], ids=["referrers API", "fallback tags"])
def test_referrers_of_an_original_are_those_of_upstream(tmp_path: Path, *, lists: bool) -> None:
    with FakeRegistry(RegistryOptions(referrers=lists)) as upstream:
        source = app().push(upstream, "app", "1")
        attached = [_attach(upstream, source, SBOM, "a"), _attach(upstream, source, NOTE, "b")]
        with run_serve(settings(upstream, tmp_path)) as served:
            answer = served.get(_path(source))
            assert answer.headers["Content-Type"] == OCI_INDEX
            assert "OCI-Filters-Applied" not in answer.headers
            document = answer.json()
            assert document["schemaVersion"] == 2
            assert document["mediaType"] == OCI_INDEX
            assert {each["digest"] for each in document["manifests"]} == set(attached)
            [sbom] = [each for each in document["manifests"] if each["artifactType"] == SBOM]
            assert sbom["annotations"]["text"] == "a"
            manifest = served.manifest("app", sbom["digest"])
            assert manifest.status_code == 200
            assert served.blob("app", manifest.json()["layers"][0]["digest"]).content == b"a"


def test_they_are_filtered_by_their_type(served: Served, upstream: FakeRegistry) -> None:
    source = app().push(upstream, "app", "1")
    sbom = _attach(upstream, source, SBOM, "a")
    _attach(upstream, source, NOTE, "b")
    answer = served.get(_path(source), params={"artifactType": SBOM})
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert [each["digest"] for each in answer.json()["manifests"]] == [sbom]
    none = served.get(_path(source), params={"artifactType": "text/none"})
    assert none.headers["OCI-Filters-Applied"] == "artifactType"
    assert none.json()["manifests"] == []


NONE: dict[str, str] = {
    "an image without any": "app",
    "a repository that does not exist": "nowhere",
}


@pytest.mark.parametrize("lists", [True, False], ids=["referrers API", "fallback tags"])
@pytest.mark.parametrize("repo", NONE.values(), ids=NONE)
def test_without_any_the_list_is_empty_and_never_a_404(
    tmp_path: Path, repo: str, *, lists: bool
) -> None:
    """A 404 would say that this registry has no referrers API."""
    with FakeRegistry(RegistryOptions(referrers=lists)) as upstream:
        app().push(upstream, "app", "1")
        with run_serve(settings(upstream, tmp_path)) as served:
            for digest in (app().build().digest, f"sha256:{'0' * 64}"):
                answer = served.get(f"/v2/{UP}/{repo}/referrers/{digest}")
                assert answer.status_code == 200
                assert answer.json()["manifests"] == []


def test_a_digest_that_is_none_is_refused(served: Served) -> None:
    answer = served.get(_path("sha256:1"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "DIGEST_INVALID"


def test_a_list_is_remembered_and_an_empty_one_for_a_shorter_time(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    source = app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, negative_ttl=SHORT)) as served:
        assert _list(served, source) == []
        first = _attach(upstream, source, SBOM, "a")
        deadline = time.monotonic() + 20
        while _list(served, source) != [first]:
            assert time.monotonic() < deadline, "it is never seen"
            time.sleep(0.05)
        _attach(upstream, source, SBOM, "b")
        upstream.forget_requests()
        assert _list(served, source) == [first]
        assert upstream.requests == ()


def test_while_upstream_is_down_its_last_answer_counts(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    source = app().push(upstream, "app", "1")
    attached = _attach(upstream, source, SBOM, "a")
    with run_serve(settings(upstream, tmp_path, tag_ttl="0s")) as served:
        assert _list(served, source) == [attached]
        upstream.arm(Fault("GET", "/", status=503, times=99))
        assert _list(served, source) == [attached]
        unknown = served.get(_path(f"sha256:{'0' * 64}"))
        assert unknown.status_code == 503, "not knowing is no empty list"


def test_a_squashed_image_has_none_of_its_original(served: Served, upstream: FakeRegistry) -> None:
    source = app().push(upstream, "app", "1")
    _attach(upstream, source, SBOM, "a")
    result = served.manifest("app", "1").headers["Docker-Content-Digest"]
    assert _list(served, result) == []


def test_a_long_list_comes_in_pages() -> None:
    """A page is no larger than a manifest may be."""
    long = {"artifactType": SBOM, "annotations": {"more": "x" * 500_000}}
    listed = [
        Descriptor(OCI_MANIFEST, digest_of(str(number).encode()), 10, long) for number in range(10)
    ]
    other = Descriptor(OCI_MANIFEST, digest_of(b"other"), 10, {"artifactType": NOTE})
    everything = (*listed[:5], other, *listed[5:])
    found: list[str] = []
    last: str | None = None
    pages = 0
    while pages == 0 or last is not None:
        page = referrer_page("up/app", digest_of(b"image"), everything, SBOM, last)
        assert len(page.body) <= 4 << 20
        found += [each["digest"] for each in json.loads(page.body)["manifests"]]
        address = urlsplit(page.next_path or "")
        last = parse_qs(address.query).get("last", [None])[0]
        if last is not None:
            assert address.path == f"/v2/up/app/referrers/{digest_of(b'image')}"
            assert parse_qs(address.query)["artifactType"] == [SBOM]
        pages += 1
    assert pages == 2
    assert found == [each.digest for each in listed]


def test_a_list_beyond_all_bounds_is_an_error(served: Served, upstream: FakeRegistry) -> None:
    source = app().push(upstream, "app", "1")
    for number in range(10):
        _attach(upstream, source, SBOM, str(number), size=500_000)
    answer = served.get(_path(source))
    assert answer.status_code == 502
    assert "more than is read of one list" in answer.json()["errors"][0]["message"]


def test_a_caller_sees_what_upstream_shows_them(tmp_path: Path) -> None:
    alice = ("alice", "a made-up word")
    with FakeRegistry(RegistryOptions(auth=Basic(*alice))) as upstream:
        source = app().push(upstream, "app", "1")
        attached = _attach(upstream, source, SBOM, "a")
        with run_serve(settings(upstream, tmp_path, auth="upstream")) as served:
            answer = served.get(_path(source), auth=alice)
            assert [each["digest"] for each in answer.json()["manifests"]] == [attached]
            for login in (None, ("bob", "another one")):
                refused: dict[str, Any] = {} if login is None else {"auth": login}
                assert served.get(_path(source), **refused).status_code == 401


@pytest.mark.parametrize("suffix", ["", ".sig", ".att"])
def test_tags_that_belong_to_a_manifest_are_handed_out_as_they_are(
    served: Served, upstream: FakeRegistry, suffix: str
) -> None:
    source = app().push(upstream, "app", "1")
    tag = fallback_tag(source) + suffix
    digest = app("signature").push(upstream, "app", tag)
    answer = served.manifest("app", tag)
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers["X-Squashproxy-Source"] == "original"
    assert served.manifest("app", f"{fallback_tag(source)}.sbom").status_code == 404


def test_with_access_control_what_is_kept_here_is_shown_to_those_who_may_read_the_image(
    tmp_path: Path,
) -> None:
    alice = ("alice", "a made-up word")
    with FakeRegistry(RegistryOptions(auth=Basic(*alice))) as upstream:
        app().push(upstream, "app", "1")
        section = settings(upstream, tmp_path, auth="upstream", provenance=True)
        with run_serve(section) as served:
            result = served.manifest("app", "1", auth=alice).headers["Docker-Content-Digest"]
        with run_serve(section) as served:
            assert served.manifest("app", fallback_tag(Digest(result))).status_code == 401
            answer = served.get(_path(result), auth=alice)
            [statement] = answer.json()["manifests"]
        with run_serve(section) as served:
            assert served.manifest("app", statement["digest"]).status_code == 401
            kept = served.manifest("app", statement["digest"], auth=alice)
            assert kept.status_code == 200
            blob = kept.json()["layers"][0]["digest"]
        with run_serve(section) as served:
            assert served.blob("app", blob).status_code == 401
            assert served.blob("app", blob, auth=alice).status_code == 200
