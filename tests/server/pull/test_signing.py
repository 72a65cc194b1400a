"""`sign`: what is squashed is signed before it is handed out, and the signatures can be pulled."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import Digest
from squashproxy.errors import Unsigned
from squashproxy.pipeline.signatures.check import check_signed
from squashproxy.reference import Repository, parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.referrers import fallback_tag
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.testing import FakeRegistry, Fault
from squashproxy.transports.registry import RegistrySource
from tests.pipeline.lab import options
from tests.pipeline.signatures.signed import OTHER, RIGHT, sign_by_bundle
from tests.server.pull.signing import ENVIRON, signing, write_key
from tests.server.serving import UP, Served, app, both_platforms, run_serve, settings

FORMS = ["bundle", "tag", "both"]
KINDS = ["directory", "registry"]
PROVENANCE = "https://slsa.dev/provenance/v1"


@pytest.fixture
def backing() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def _store(kind: str, backing: FakeRegistry) -> dict[str, Any]:
    return {} if kind == "directory" else {"store": {"registry": f"{backing.host}/cache"}}


def _signers(served: Served, digest: str, repo: str = "app") -> list[str]:
    """The keys among RIGHT and OTHER that signed a manifest, as a client finds out."""
    place = parse_reference(f"{served.host}/{UP}/{repo}@{digest}")
    found = []
    with RegistryClient(environ={}) as client:
        for key in (RIGHT, OTHER):
            names = (Repository(UP, repo),)
            wanted = options(required_keys=(key.public,), signed_as=names)
            try:
                check_signed(RegistrySource(client, place), Digest(digest), wanted)
            except Unsigned:
                continue
            found.append(key.public.name)
    return found


def _referrers(served: Served, digest: str, repo: str = "app") -> list[dict[str, Any]]:
    answer = served.get(f"/v2/{UP}/{repo}/referrers/{digest}")
    assert answer.status_code == 200
    listed: list[dict[str, Any]] = answer.json()["manifests"]
    return listed


def _tagged(served: Served, digest: str, repo: str = "app") -> int:
    """How many signatures are under the tag of an image."""
    answer = served.manifest(repo, tag_for(Digest(digest)))
    return len(answer.json()["layers"]) if answer.status_code == 200 else 0


def _pull(served: Served, repo: str = "app") -> str:
    answer = served.manifest(repo, "1")
    assert answer.status_code == 200
    return answer.headers["Docker-Content-Digest"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_the_index_and_each_image_is_signed(
    upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path, form: str, kind: str
) -> None:
    both_platforms().push(upstream, "app", "1")
    with run_serve(signing(upstream, tmp_path, form, **_store(kind, backing))) as served:
        answer = served.manifest("app", "1")
        assert answer.headers["X-Squashproxy-Source"] == "squashed"
        result = answer.headers["Docker-Content-Digest"]
        for digest in (result, *(each["digest"] for each in answer.json()["manifests"])):
            assert _signers(served, digest) == ["right"]
            assert len(_referrers(served, digest)) == (form != "tag")
            assert _tagged(served, digest) == (form != "bundle")


@pytest.mark.parametrize("kind", KINDS)
def test_results_of_earlier_times_are_signed_once_when_they_are_asked_for(
    upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, **_store(kind, backing))) as served:
        before = _pull(served)
    for _ in range(3):
        with run_serve(signing(upstream, tmp_path, **_store(kind, backing))) as served:
            answer = served.manifest("app", "1")
            assert answer.headers["Docker-Content-Digest"] == before
            assert answer.headers["X-Squashproxy-Source"] == "cached"
            assert len(_referrers(served, before)) == 1
            assert _tagged(served, before) == 1
            assert _signers(served, before) == ["right"]


@pytest.mark.parametrize("kind", KINDS)
def test_results_of_earlier_times_are_signed_when_their_digest_is_asked_for(
    upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path, kind: str
) -> None:
    """As by pods that name the squashed image by its digest."""
    both_platforms().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, **_store(kind, backing))) as served:
        before = served.manifest("app", "1")
    digest = before.headers["Docker-Content-Digest"]
    with run_serve(signing(upstream, tmp_path, **_store(kind, backing))) as served:
        assert served.manifest("app", digest).content == before.content
        assert _signers(served, digest) == ["right"]
        for child in before.json()["manifests"]:
            assert _signers(served, child["digest"]) == ["right"]


def test_a_result_that_cannot_be_signed_gives_way_to_its_original(
    upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path
) -> None:
    source = app().push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, **_store("registry", backing))) as served:
        _pull(served)
    with run_serve(signing(upstream, tmp_path, **_store("registry", backing))) as served:
        backing.arm(Fault("POST", "/blobs/uploads/", status=403, times=99))
        assert _pull(served) == source
        [error, *_] = served.get("/api/v1/status").json()["errors"]
        assert "could not be signed" in error["message"]


def test_a_new_key_signs_beside_the_old_one(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    section = signing(upstream, tmp_path)
    with run_serve(section) as served:
        _pull(served)
    write_key(tmp_path, OTHER)
    with run_serve(section) as served:
        assert _signers(served, _pull(served)) == ["right", "other"]


def test_each_repository_has_signatures_of_its_own_name(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    """The squashed image is shared by the repositories of a registry."""
    for repo in ("one", "two"):
        app().push(upstream, repo, "1")
    with run_serve(signing(upstream, tmp_path)) as served:
        digest = _pull(served, "one")
        assert _pull(served, "two") == digest
        for repo in ("one", "two"):
            assert _signers(served, digest, repo) == ["right"]
            manifest = served.manifest(repo, tag_for(Digest(digest))).json()
            payload = served.blob(repo, manifest["layers"][0]["digest"]).json()
            name = payload["critical"]["identity"]["docker-reference"]
            assert name == f"{UP}/{repo}"


def test_an_image_that_stays_as_it_is_has_the_signatures_of_upstream_and_of_here(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    source = app(layers=1).push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", source, OTHER)
    with run_serve(signing(upstream, tmp_path, "bundle")) as served:
        assert _pull(served) == source
        assert _signers(served, source) == ["right", "other"]


def test_originals_are_not_signed(upstream: FakeRegistry, tmp_path: Path) -> None:
    source = app().push(upstream, "app", "1")
    with run_serve(signing(upstream, tmp_path, rules=[{"match": "*", "squash": False}])) as served:
        assert _pull(served) == source
        assert _referrers(served, source) == []
        assert _tagged(served, source) == 0


LOST = ["bundle", "its list", "bundle's blob", "tag", "tag's blob"]


@pytest.mark.parametrize("lost", LOST)
def test_an_image_whose_signature_is_lost_is_made_and_signed_again(
    upstream: FakeRegistry, tmp_path: Path, lost: str
) -> None:
    app().push(upstream, "app", "1")
    section = signing(upstream, tmp_path)
    with run_serve(section) as served:
        digest = _pull(served)
        [bundle] = _referrers(served, digest)
        manifest = served.manifest("app", bundle["digest"]).json()
        listing = served.manifest("app", fallback_tag(Digest(digest)))
        tagged = served.manifest("app", tag_for(Digest(digest)))
    files = (
        bundle["digest"],
        listing.headers["Docker-Content-Digest"],
        manifest["layers"][0]["digest"],
        tagged.headers["Docker-Content-Digest"],
        tagged.json()["layers"][0]["digest"],
    )
    file = dict(zip(LOST, files, strict=True))[lost]
    (tmp_path / "store" / "blobs" / file.replace(":", "/")).unlink()
    with run_serve(section) as served:
        assert _pull(served) == digest
        assert _signers(served, digest) == ["right"]
        assert len(_referrers(served, digest)) == 1
        assert _tagged(served, digest) == 1


def test_signatures_outlive_the_ledger(upstream: FakeRegistry, tmp_path: Path) -> None:
    app().push(upstream, "app", "1")
    section = signing(upstream, tmp_path)
    with run_serve(section) as served:
        digest = _pull(served)
        [bundle] = _referrers(served, digest)
    for path in (tmp_path / "store").glob("squashproxy.db*"):
        path.unlink()
    with run_serve(section) as served:
        assert _pull(served) == digest
        assert [each["digest"] for each in _referrers(served, digest)] == [bundle["digest"]]
        assert _tagged(served, digest) == 1


def test_the_index_of_the_directory_names_signatures_as_any_layout_does(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    app().push(upstream, "app", "1")
    section = signing(upstream, tmp_path)
    with run_serve(section) as served:
        digest = _pull(served)
        attached = {tag_for(Digest(digest)), fallback_tag(Digest(digest))}
    index = json.loads((tmp_path / "store" / "index.json").read_bytes())
    names = {
        each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]
    }
    assert names == {f"{UP}/app:{tag}" for tag in ("1", *attached)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signs", [True, False], ids=["signed", "unsigned"])
def test_a_statement_says_how_an_image_was_made(
    upstream: FakeRegistry, backing: FakeRegistry, tmp_path: Path, kind: str, *, signs: bool
) -> None:
    source = app().push(upstream, "app", "1")
    sign_by_bundle(upstream, "app", source)
    more = {"provenance": True, **_store(kind, backing)}
    rules = [{"match": "*", "require_signature": ["env:RIGHT"]}]
    section = (signing if signs else settings)(upstream, tmp_path, rules=rules, **more)
    with run_serve(section, ENVIRON) as served:
        digest = _pull(served)
        [found] = [
            each
            for each in _referrers(served, digest)
            if PROVENANCE in each["annotations"].values()
        ]
        manifest = served.manifest("app", found["digest"]).json()
        assert manifest["subject"]["digest"] == digest
        document = served.blob("app", manifest["layers"][0]["digest"]).json()
        if signs:
            document = json.loads(b64decode(document["dsseEnvelope"]["payload"]))
        algorithm, _, text = digest.partition(":")
        assert document["subject"] == [{"name": f"{UP}/app", "digest": {algorithm: text}}]
        build = document["predicate"]["buildDefinition"]
        assert build["externalParameters"]["target"] == f"{UP}/app"
        [by] = build["internalParameters"]["signed_by"]
        assert by == {"digest": source, "key": f"sha256:{RIGHT.public.fingerprint}"}


def test_the_status_says_which_key_signed_what(upstream: FakeRegistry, tmp_path: Path) -> None:
    sign_by_bundle(upstream, "app", app().push(upstream, "app", "1"))
    rules = [{"match": "*", "require_signature": ["env:RIGHT"]}]
    with run_serve(settings(upstream, tmp_path)) as served:
        _pull(served)
        [image] = served.get("/api/v1/status").json()["images"]
        assert image["signed_with"] is None
    app("b").push(upstream, "other", "1")
    sign_by_bundle(upstream, "other", upstream.tags("other")["1"])
    with run_serve(signing(upstream, tmp_path, rules=rules), ENVIRON) as served:
        _pull(served)
        _pull(served, "other")
        [other, image] = served.get("/api/v1/status").json()["images"]
        assert image["signed_with"] == other["signed_with"] == RIGHT.public.fingerprint
        assert other["source_keys"] == [RIGHT.public.fingerprint]
