"""Promoting signed images: signatures are valid for the original alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import encode_json
from squashproxy.oci.mediatypes import OCI_INDEX
from squashproxy.testing import (
    BuiltIndex,
    FakeRegistry,
    Fault,
    FaultKind,
    RegistryOptions,
    artifact_manifest,
    index_of,
)
from tests.cleanup.room import image, pulls_whole
from tests.promotion.pair import SIMPLE, Pair, errors, outcomes, sign


@pytest.mark.parametrize("policy", ["warn", "refuse", "copy"])
def test_a_signed_source(pair: Pair, policy: str) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    signature = sign(pair.old, "apps/web", built.manifest.descriptor)
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: {policy}")
    tags = pair.new.tags("prod/web")
    (found,) = document["images"]
    if policy == "refuse":
        assert (code, found["outcome"], tags) == (1, "refused", {})
        assert "signature tag" in found["error"]
    elif policy == "warn":
        assert (code, set(tags)) == (0, {"1"})
        assert "stay behind" in found["warnings"][0]
    else:
        assert code == 0
        assert tags["1-original"] == built.digest
        assert signature in pair.new.manifests("prod/web")
        assert built.digest.replace(":", "-") + ".sig" in tags
        assert pulls_whole(pair.new, built.digest, "prod/web")


@pytest.mark.parametrize("referrers", [True, False])
def test_provenance_is_a_referrer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, referrers: bool
) -> None:
    options = RegistryOptions(referrers=referrers)
    with FakeRegistry() as old, FakeRegistry(options) as new:
        pair = Pair(old, new, tmp_path, capsys)
        pair.push("apps/web", "1")
        assert pair.promote(f"{SIMPLE}\nprovenance: true")[0] == 0
        digest = new.tags("prod/web")["1"]
        statements = [
            json.loads(new.manifest("prod/web", each).data) for each in new.manifests("prod/web")
        ]
        (statement,) = [each for each in statements if "subject" in each]
        assert statement["subject"]["digest"] == digest
        payload = json.loads(new.blob("prod/web", statement["layers"][0]["digest"]))
        assert payload["subject"][0]["digest"]["sha256"] == digest.removeprefix("sha256:")
        assert (digest.replace(":", "-") in new.tags("prod/web")) != referrers


def index(pair: Pair) -> BuiltIndex:
    """Two platforms under one tag of the source."""
    built = index_of([image("one"), image("two")])
    built.push(pair.old, "apps/web", "1")
    return built


def refer(registry: FakeRegistry, repo: str, subject: Descriptor, text: bytes) -> Digest:
    """Something that refers to a manifest, without a tag."""
    blob = Descriptor("text/plain", registry.put_blob(repo, text), len(text))
    config = Descriptor("application/vnd.oci.empty.v1+json", registry.put_blob(repo, b"{}"), 2)
    raw = artifact_manifest("text/plain", [blob], config=config, subject=subject)
    return registry.put_manifest(repo, None, raw.data, raw.media_type)


def hide(registry: FakeRegistry, digest: str, status: int = 404) -> None:
    """Let a registry that lists referrers not do so for one digest."""
    registry.arm(Fault("GET", f"/referrers/{digest}", FaultKind.ANSWER, status=status, times=99))


@pytest.mark.parametrize("status", [404, 400, 405, 501])
def test_one_manifest_without_an_answer_hides_no_signature_of_the_next(
    pair: Pair, status: int
) -> None:
    built = index(pair)
    refer(pair.old, "apps/web", built.images[1].manifest.descriptor, b"signature")
    hide(pair.old, built.digest, status)
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: refuse")
    assert (code, outcomes(document)) == (1, {"prod/web:1": "refused"})
    assert (
        "has 1 referrer and 1 manifest whose referrers its registry does not tell"
        in errors(document)[0]
    )


def test_an_image_with_a_part_whose_referrers_are_unknown_may_be_signed(pair: Pair) -> None:
    built = index(pair)
    hide(pair.old, built.images[0].digest)
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: refuse")
    assert (code, outcomes(document)) == (1, {"prod/web:1": "refused"})
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: copy")
    [found] = document["images"]
    assert (code, pair.new.tags("prod/web")["1-original"]) == (0, built.digest)
    assert "what refers to these may stay behind" in found["warnings"][0]


def test_a_registry_that_lists_no_referrers_at_all_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There, signatures are found by their tags."""
    with FakeRegistry(RegistryOptions(referrers=False)) as old, FakeRegistry() as new:
        pair = Pair(old, new, tmp_path, capsys)
        built = index(pair)
        assert pair.promote(f"{SIMPLE}\nsigned: refuse", "--dry-run")[0] == 0
        tag = built.images[1].digest.replace(":", "-")
        image("list").push(old, "apps/web", tag)
        code, document, _ = pair.promote(f"{SIMPLE}\nsigned: refuse", "--dry-run")
        assert code == 1
        assert "has 1 signature tag," in errors(document)[0]


def signature_tag(digest: str) -> str:
    return digest.replace(":", "-") + ".sig"


@pytest.mark.parametrize("choice", ["replace", "keep", "backup"])
def test_other_signatures_at_the_target_follow_on_existing(pair: Pair, choice: str) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    sign(pair.old, "apps/web", built.manifest.descriptor)
    tag = signature_tag(built.digest)
    theirs = image("other signatures").push(pair.new, "prod/web", tag)
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: copy\non_existing: {choice}")
    assert code == 0
    [found] = document["images"]
    assert (pair.new.tags("prod/web")[tag] == theirs) is (choice != "replace")
    told = [each for each in found["warnings"] if "else than at the source, and was left" in each]
    assert len(told) == (choice != "replace")


@pytest.mark.parametrize("referrers", [True, False])
def test_a_list_of_referrers_is_joined_to_the_one_at_the_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, referrers: bool
) -> None:
    with (
        FakeRegistry(RegistryOptions(referrers=False)) as old,
        FakeRegistry(RegistryOptions(referrers=referrers)) as new,
    ):
        pair = Pair(old, new, tmp_path, capsys)
        built = image("signed")
        built.push(old, "apps/web", "1")
        ours = refer(old, "apps/web", built.manifest.descriptor, b"ours")
        listed(old, "apps/web", built.digest, ours)
        built.push(new, "prod/web", None)
        theirs = refer(new, "prod/web", built.manifest.descriptor, b"theirs")
        if not referrers:
            listed(new, "prod/web", built.digest, theirs)
        assert pair.promote(f"{SIMPLE}\nsigned: copy")[0] == 0
        assert {ours, theirs} <= new.manifests("prod/web")
        if not referrers:
            raw = new.manifest("prod/web", built.digest.replace(":", "-"))
            entries = json.loads(raw.data)["manifests"]
            assert {each["digest"] for each in entries} == {ours, theirs}


def listed(registry: FakeRegistry, repo: str, subject: str, *digests: Digest) -> None:
    """Write the list that clients keep where a registry does not (referrers tag schema)."""
    raws = [registry.manifest(repo, digest) for digest in digests]
    entries = [Descriptor(raw.media_type, raw.digest, len(raw.data)).to_json() for raw in raws]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    registry.put_manifest(repo, subject.replace(":", "-"), encode_json(document), OCI_INDEX)


def test_an_original_that_is_pushed_over_meanwhile_is_left(pair: Pair) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    sign(pair.old, "apps/web", built.manifest.descriptor)
    theirs, hooks = pair.pushing("prod/web:1-original")
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: copy\n{hooks}")
    assert (code, outcomes(document)) == (1, {"prod/web:1": "failed"})
    assert "was pushed to meanwhile; its push was left" in errors(document)[0]
    assert pair.new.tags("prod/web") == {"1-original": theirs}
