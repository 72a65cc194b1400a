"""A copy of the same bytes: the same digests, and on wish all that refers to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from squashproxy.digest import Digest
from squashproxy.errors import (
    FormatError,
    NoSuchPlatform,
    NotFound,
    ReferrersUnknown,
    ServerFault,
    SquashproxyError,
    UsageError,
)
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.oci.mediatypes import OCI_INDEX, Family
from squashproxy.oci.platform import parse_platform
from squashproxy.pipeline.copy import compare_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import CopyResult
from squashproxy.testing import (
    AMD64,
    BuiltIndex,
    FakeRegistry,
    Fault,
    FaultKind,
    artifact_manifest,
    index_of,
)
from tests.pipeline.images import ARM64, S390X, app, other
from tests.pipeline.lab import Lab, Listener, asked, fails, options, pushed_bytes
from tests.pipeline.test_interrupt import Interrupter

Labs = Callable[..., Lab]
EMPTY = "application/vnd.oci.empty.v1+json"
SIGNATURE = "application/vnd.example.signature"


def exactly(lab: Lab, source: str = "app:1", **choices: Any) -> CopyResult:
    return lab.copy(source, mode=Mode.COPY, **choices)


def two_platforms() -> BuiltIndex:
    """An index of two images, each with BuildKit's attestation."""
    return index_of([app(), app(platform=ARM64)], attestations=True)


def nested() -> tuple[BuiltIndex, RawManifest]:
    """An index that lists an image, and an index of two more."""
    inner = index_of([app(platform=ARM64), app(platform=S390X)])
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [app().manifest.descriptor.to_json(), inner.manifest.descriptor.to_json()],
        "x-unknown": {"spacing": "kept"},
    }
    data = json.dumps(document, indent=3).encode()
    return inner, RawManifest(data, OCI_INDEX)


def put_nested(lab: Lab) -> Digest:
    inner, outer = nested()
    app().push(lab.old, "app")
    inner.push(lab.old, "app")
    return lab.old.put_manifest("app", "1", outer.data, outer.media_type)


def everything(registry: FakeRegistry, repo: str, digest: str) -> dict[str, bytes]:
    """The bytes of a manifest and of all that it names, by digest."""
    raw = registry.manifest(repo, digest)
    document = json.loads(raw.data)
    found = {digest: raw.data}
    for child in document.get("manifests", []):
        found |= everything(registry, repo, child["digest"])
    blobs = [*document.get("layers", []), *filter(None, [document.get("config")])]
    return found | {blob["digest"]: registry.blob(repo, blob["digest"]) for blob in blobs}


IMAGES: dict[str, Callable[[Lab], Digest]] = {
    "an OCI image": lambda lab: lab.put(app()),
    "a Docker image": lambda lab: lab.put(app(Family.DOCKER)),
    "an index with attestations": lambda lab: lab.put(two_platforms()),
    "a Docker list": lambda lab: lab.put(
        index_of([app(Family.DOCKER), app(Family.DOCKER, platform=ARM64)], Family.DOCKER)
    ),
    "an index in an index, with fields that no one knows": put_nested,
    "an artifact that is no image": lambda lab: put_artifact(lab.old, "app", tag="1"),
}


@pytest.mark.parametrize("put", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("verify", [False, True], ids=["", "verified"])
def test_every_byte_arrives_under_its_digest(
    lab: Lab, put: Callable[[Lab], Digest], *, verify: bool
) -> None:
    digest = put(lab)
    result = exactly(lab, verify=verify)
    assert (result.source_digest, result.digest, result.skipped) == (digest, digest, False)
    assert lab.new.tags("app") == {"1": digest}
    assert everything(lab.new, "app", digest) == everything(lab.old, "app", digest)
    media_type = lab.old.manifest("app", "1").media_type
    assert lab.new.manifest("app", "1").media_type == media_type
    for platform in result.platforms:
        assert (platform.mode, platform.digest) == (Mode.COPY, platform.source_digest)
        assert {layer.action.value for layer in platform.layers} <= {"kept"}
        assert platform.layers_before == platform.layers_after == len(platform.layers)


def test_a_second_copy_costs_one_head_on_each_side(lab: Lab) -> None:
    lab.put(two_platforms())
    exactly(lab)
    lab.forget_requests()
    result = exactly(lab)
    assert (result.skipped, result.platforms) == (True, ())
    assert asked(lab.old) == asked(lab.new) == ["HEAD app/manifests/1 200"]


def test_the_figures_tell_what_moved(lab: Lab) -> None:
    lab.put(app())
    lab.forget_requests()
    result = exactly(lab)
    [platform] = result.platforms
    size = sum(layer.size for layer in app().layers) + app().config.size
    assert platform.platform == "linux/amd64"
    assert platform.uploaded_bytes == platform.fetched_bytes == size == pushed_bytes(lab.new)
    assert platform.compressed_before == platform.compressed_after == size - app().config.size
    assert (platform.reused_bytes, platform.hidden_bytes, platform.base_layers) == (0, 0, 0)


def test_what_the_target_has_is_not_sent_again(lab: Lab) -> None:
    lab.put(app())
    app().push(lab.new, "app", "old")
    lab.forget_requests()
    result = exactly(lab)
    [platform] = result.platforms
    assert platform.uploaded_bytes == platform.fetched_bytes == pushed_bytes(lab.new) == 0
    assert platform.reused_bytes == platform.compressed_after + app().config.size


def test_within_a_registry_blobs_are_mounted(labs: Labs) -> None:
    lab = labs(one=True)
    lab.put(app())
    result = exactly(lab, target="other:1")
    [platform] = result.platforms
    assert (platform.mounted_blobs, platform.uploaded_bytes) == (5, 0)
    assert lab.new.tags("other") == {"1": app().digest}


def test_the_tag_moves_last(lab: Lab) -> None:
    digest = lab.put(two_platforms())
    other().push(lab.new, "app", "1")
    lab.forget_requests()
    exactly(lab)
    writes = [line for line in asked(lab.new) if line.startswith("PUT app/manifests")]
    assert writes[-1] == "PUT app/manifests/1 201"
    assert len(writes) == 5
    assert not any(digest in line for line in writes), "the index is written once"


def test_an_existing_tag_stays_with_no_clobber(lab: Lab) -> None:
    lab.put(app())
    before = other().push(lab.new, "app", "1")
    result = exactly(lab, no_clobber=True)
    assert (result.skipped, result.digest, lab.new.tags("app")) == (True, before, {"1": before})


def test_the_old_image_is_kept_under_a_backup_tag(lab: Lab) -> None:
    digest = lab.put(app())
    before = other().push(lab.new, "app", "1")
    exactly(lab, backup="{tag}-old")
    assert lab.new.tags("app") == {"1": digest, "1-old": before}
    exactly(lab, backup="{tag}-old", force=True)
    assert lab.new.tags("app") == {"1": digest, "1-old": before}


def test_force_looks_at_every_blob_again(lab: Lab) -> None:
    lab.put(app())
    exactly(lab)
    lab.forget_requests()
    result = exactly(lab, force=True)
    assert not result.skipped
    assert sum("HEAD app/blobs" in line for line in asked(lab.new)) == 5


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/s390x"])
def test_one_platform_is_that_image_itself(lab: Lab, platform: str) -> None:
    images = {str(each.platform): each for each in (app(platform=ARM64), app(platform=S390X))}
    lab.put(index_of([app(), *images.values()], attestations=True))
    heard = Listener()
    result = exactly(lab, platforms=(parse_platform(platform),), observer=heard)
    assert lab.new.tags("app") == {"1": images[platform].digest}
    assert result.digest == images[platform].digest
    assert [each.platform for each in result.platforms] == [platform]
    [warning] = heard.warnings
    assert "3 attestations stay behind" in warning
    assert exactly(lab, platforms=(parse_platform(platform),)).skipped


def test_a_single_image_is_checked_for_its_platform(lab: Lab) -> None:
    digest = lab.put(app())
    exactly(lab, platforms=(AMD64,))
    assert lab.new.tags("app") == {"1": digest}
    words = "is for linux/amd64, not for linux/arm64"
    fails(lab, NoSuchPlatform, words, mode=Mode.COPY, platforms=(ARM64,))


@pytest.mark.parametrize("after", [1, 30_000])
def test_an_interrupted_copy_leaves_nothing_open(lab: Lab, after: int) -> None:
    lab.put(two_platforms())
    before = other().push(lab.new, "app", "1")
    with pytest.raises(KeyboardInterrupt):
        exactly(lab, observer=Interrupter("blob", after))
    assert lab.new.open_uploads == 0
    assert lab.new.tags("app") == {"1": before}
    assert exactly(lab).digest == two_platforms().digest


# What refers to images.


def put_artifact(
    registry: FakeRegistry,
    repo: str,
    subject: Descriptor | None = None,
    text: bytes = b"signature",
    tag: str | None = None,
) -> Digest:
    """An artifact, with a subject or under a tag; its digest."""
    raw = artifact(registry, repo, subject, text)
    return registry.put_manifest(repo, tag, raw.data, raw.media_type)


def artifact(
    registry: FakeRegistry, repo: str, subject: Descriptor | None, text: bytes
) -> RawManifest:
    blob = Descriptor("text/plain", registry.put_blob(repo, text), len(text))
    config = Descriptor(EMPTY, registry.put_blob(repo, b"{}"), 2)
    return artifact_manifest(SIGNATURE, [blob], config=config, subject=subject)


def found_by(registry: FakeRegistry, raw: Digest, repo: str = "app") -> Descriptor:
    found = registry.manifest(repo, raw)
    return Descriptor(found.media_type, found.digest, len(found.data))


def refer(lab: Lab, subject: Digest, text: bytes = b"signature", *, listed: bool) -> Digest:
    """A referrer at the source; with `listed`, in the list under a tag, as without the API."""
    digest = put_artifact(lab.old, "app", found_by(lab.old, subject), text)
    if listed:
        tag = subject.replace(":", "-")
        known = []
        if tag in lab.old.tags("app"):
            known = json.loads(lab.old.manifest("app", tag).data)["manifests"]
        put_list(lab.old, tag, [*known, found_by(lab.old, digest).to_json()])
    return digest


def put_list(registry: FakeRegistry, tag: str, entries: Sequence[dict[str, Any]]) -> Digest:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}
    return registry.put_manifest("app", tag, encode_json(document), OCI_INDEX)


def listed_at(registry: FakeRegistry, subject: Digest, *, api: bool) -> set[str]:
    """The digests that a registry lists for a subject, by its API or under a tag."""
    if api:
        return {
            digest
            for digest in registry.manifests("app")
            if json.loads(registry.manifest("app", digest).data).get("subject", {}).get("digest")
            == subject
        }
    tag = subject.replace(":", "-")
    if tag not in registry.tags("app"):
        return set()
    entries = json.loads(registry.manifest("app", tag).data)["manifests"]
    return {each["digest"] for each in entries}


SUPPORT = {
    "both registries list referrers": (True, True),
    "the source has lists under tags": (False, True),
    "the target needs lists under tags": (True, False),
    "neither lists referrers": (False, False),
}


@pytest.mark.parametrize(("old", "new"), SUPPORT.values(), ids=SUPPORT)
def test_referrers_of_every_manifest_and_of_referrers_go_along(
    labs: Labs, *, old: bool, new: bool
) -> None:
    lab = labs(old={"referrers": old}, new={"referrers": new})
    index = two_platforms()
    lab.put(index)
    subjects = [index.digest, index.images[1].digest, index.attestations[0].digest]
    wanted = {each: {refer(lab, each, each.encode(), listed=not old)} for each in subjects}
    [sbom] = wanted[index.digest]
    wanted[Digest(sbom)] = {refer(lab, Digest(sbom), b"of the sbom", listed=not old)}
    result = exactly(lab, referrers=True)
    assert result.digest == index.digest
    for subject, digests in wanted.items():
        assert listed_at(lab.new, Digest(subject), api=new) == digests
        for digest in digests:
            assert everything(lab.new, "app", digest) == everything(lab.old, "app", digest)
    told = {(each.subject, each.digest, each.tag) for each in result.referrers}
    assert told == {(subject, *digests, None) for subject, digests in wanted.items()}
    assert {each.artifact_type for each in result.referrers} == {SIGNATURE}
    assert exactly(lab, referrers=True).skipped


def test_referrers_stay_behind_without_the_option(lab: Lab) -> None:
    digest = lab.put(app())
    refer(lab, digest, listed=False)
    assert exactly(lab).referrers == ()
    assert lab.new.manifests("app") == {digest}


@pytest.mark.parametrize("suffix", [".sig", ".att", ".sbom", ".other", "-more"])
def test_tags_that_begin_with_the_digest_go_along(lab: Lab, suffix: str) -> None:
    index = two_platforms()
    lab.put(index)
    tags = {each.replace(":", "-") + suffix for each in (index.digest, index.images[0].digest)}
    for tag in tags:
        put_artifact(lab.old, "app", tag=tag)
    put_artifact(lab.old, "app", tag=f"sha256-{'0' * 64}{suffix}")
    exactly(lab, referrers=True)
    assert set(lab.new.tags("app")) == {"1", *tags}
    assert exactly(lab, referrers=True).skipped


def test_tags_are_asked_for_by_name_where_they_are_not_listed(lab: Lab) -> None:
    digest = lab.put(app())
    tag = digest.replace(":", "-") + ".sig"
    put_artifact(lab.old, "app", tag=tag)
    lab.old.arm(Fault("GET", "/tags/list", FaultKind.ANSWER, status=401, times=99))
    exactly(lab, referrers=True)
    assert set(lab.new.tags("app")) == {"1", tag}


def test_new_signatures_of_an_image_that_is_there_are_found(lab: Lab) -> None:
    digest = lab.put(app())
    exactly(lab, referrers=True)
    wanted = refer(lab, digest, listed=False)
    lab.forget_requests()
    result = exactly(lab, referrers=True)
    assert (result.skipped, [each.digest for each in result.referrers]) == (False, [wanted])
    assert listed_at(lab.new, digest, api=True) == {wanted}
    assert "PUT app/manifests/1 201" not in asked(lab.new), "the tag is right already"


def test_an_image_without_referrers_costs_a_list_for_each_manifest(lab: Lab) -> None:
    lab.put(app())
    exactly(lab, referrers=True)
    lab.forget_requests()
    assert exactly(lab, referrers=True).skipped
    assert asked(lab.new) == ["HEAD app/manifests/1 200"]
    kinds = [line.split("/")[1].split()[0] for line in asked(lab.old)]
    assert (kinds.count("manifests"), kinds.count("referrers")) == (2, 1)


def test_referrers_at_the_target_alone_stay_in_its_list(labs: Labs) -> None:
    lab = labs(new={"referrers": False})
    digest = lab.put(app())
    app().push(lab.new, "app")
    theirs = put_artifact(lab.new, "app", app().manifest.descriptor, b"theirs")
    put_list(lab.new, digest.replace(":", "-"), [found_by(lab.new, theirs).to_json()])
    ours = refer(lab, digest, listed=False)
    exactly(lab, referrers=True)
    assert listed_at(lab.new, digest, api=False) == {ours, theirs}


@pytest.mark.parametrize("keeps", [False, True])
def test_another_signature_tag_at_the_target(lab: Lab, *, keeps: bool) -> None:
    digest = lab.put(app())
    tag = digest.replace(":", "-") + ".sig"
    ours = put_artifact(lab.old, "app", tag=tag)
    theirs = put_artifact(lab.new, "app", text=b"theirs", tag=tag)
    heard = Listener()
    exactly(lab, referrers=True, keeps_tags=keeps, observer=heard)
    assert lab.new.tags("app")[tag] == (theirs if keeps else ours)
    assert len(heard.warnings) == keeps
    assert exactly(lab, referrers=True, keeps_tags=keeps).skipped


def test_what_stands_under_the_tag_of_a_list_and_is_none_is_copied_as_a_tag(lab: Lab) -> None:
    digest = lab.put(app())
    tag = digest.replace(":", "-")
    wanted = other().push(lab.old, "app", tag)
    exactly(lab, referrers=True)
    assert lab.new.tags("app") == {"1": digest, tag: wanted}


def test_an_image_may_have_a_tag_of_its_own_digest(lab: Lab) -> None:
    digest = lab.put(two_platforms())
    tag = digest.replace(":", "-")
    two_platforms().push(lab.old, "app", tag)
    exactly(lab, referrers=True)
    assert lab.new.tags("app") == {"1": digest, tag: digest}
    assert exactly(lab, referrers=True).skipped


def test_tags_that_are_listed_and_gone_are_left_out(labs: Labs) -> None:
    lab = labs(old={"lists_dead_tags": True})
    digest = lab.put(app())
    signature = put_artifact(lab.old, "app", tag=digest.replace(":", "-") + ".sig")
    lab.client.repository(lab.source().repository).delete_manifest(signature)
    exactly(lab, referrers=True)
    assert lab.new.tags("app") == {"1": digest}


def test_a_list_under_a_tag_may_name_what_is_gone(labs: Labs) -> None:
    lab = labs(old={"referrers": False})
    digest = lab.put(app())
    first, second = (refer(lab, digest, text, listed=True) for text in (b"one", b"two"))
    lab.client.repository(lab.source().repository).delete_manifest(first)
    heard = Listener()
    result = exactly(lab, referrers=True, observer=heard)
    assert [each.digest for each in result.referrers] == [second]
    [warning] = heard.warnings
    assert f"lists {first[:19]}, which is gone and was left out" in warning


def test_an_index_that_lists_the_same_again_and_again_is_read_once(lab: Lab) -> None:
    """Seven indexes, each of which names the next one ten times."""
    app().push(lab.old, "app")
    child = app().manifest.descriptor.to_json()
    for _ in range(7):
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child] * 10}
        digest = lab.old.put_manifest("app", "1", encode_json(document), OCI_INDEX)
        child = found_by(lab.old, digest).to_json()
    exactly(lab, referrers=True)
    assert len(lab.new.manifests("app")) == 8
    assert exactly(lab, referrers=True).skipped


def hidden(lab: Lab, status: int) -> None:
    """The registry lists referrers, but not those of the image."""
    digest = lab.put(app())
    lab.old.arm(Fault("GET", f"/referrers/{digest}", FaultKind.ANSWER, status=status, times=99))


def circle(lab: Lab) -> None:
    """The registry answers that an image refers to itself."""
    digest = lab.put(app())
    entry = found_by(lab.old, digest).to_json()
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    answer(lab, digest, encode_json(document))


def answer(lab: Lab, subject: Digest, body: bytes) -> None:
    fault = Fault("GET", f"/referrers/{subject}", FaultKind.ANSWER, status=200, body=body, times=99)
    lab.old.arm(fault)


def stranger(lab: Lab) -> None:
    """The registry lists a manifest that refers to nothing."""
    digest = lab.put(app())
    listed = put_artifact(lab.old, "app")
    entry = found_by(lab.old, listed).to_json()
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    answer(lab, digest, encode_json(document))


def chain(lab: Lab) -> None:
    """Ten referrers, one of the other."""
    digest = lab.put(app())
    for number in range(10):
        digest = refer(lab, digest, str(number).encode(), listed=False)


BAD: dict[str, tuple[Callable[[Lab], None], type[SquashproxyError], tuple[str, ...]]] = {
    "a registry that lists referrers, but not those of this image": (
        lambda lab: hidden(lab, 404),
        ReferrersUnknown,
        ("lists referrers, but not those of", "so it is not known what refers to it"),
    ),
    "referrers that go in a circle": (circle, FormatError, ("go in a circle",)),
    "a referrer that refers to nothing": (stranger, FormatError, ("but it refers to nothing",)),
    "ten referrers, one of the other": (chain, FormatError, ("more than 8 referrers refer",)),
}


@pytest.mark.parametrize(("arrange", "error", "words"), BAD.values(), ids=BAD)
def test_a_source_that_cannot_be_right(
    lab: Lab,
    arrange: Callable[[Lab], None],
    error: type[SquashproxyError],
    words: tuple[str, ...],
) -> None:
    arrange(lab)
    fails(lab, error, *words, mode=Mode.COPY, referrers=True)


def test_a_registry_that_fails_while_it_lists_is_an_error(lab: Lab) -> None:
    lab.put(app())
    lab.old.arm(Fault("GET", "/referrers/", FaultKind.ANSWER, status=500, times=99))
    fails(lab, ServerFault, mode=Mode.COPY, referrers=True)


def test_an_index_whose_image_the_source_lacks_is_an_error(labs: Labs) -> None:
    lab = labs(old={"check_references": False})
    index = two_platforms()
    index.images[0].push(lab.old, "app")
    lab.old.put_manifest("app", "1", index.manifest.data, index.manifest.media_type)
    fails(lab, NotFound, index.images[1].digest, mode=Mode.COPY)


CHOICES = {
    "two platforms": (
        {"platforms": (AMD64, ARM64)},
        "an index with only linux/amd64, linux/arm64 would be another index with another digest",
    ),
    "provenance": ({"provenance": True}, "a copy of the same bytes makes none"),
}


@pytest.mark.parametrize(("choices", "words"), CHOICES.values(), ids=CHOICES)
def test_options_that_no_exact_copy_can_honour(
    lab: Lab, choices: dict[str, Any], words: str
) -> None:
    lab.put(two_platforms())
    fails(lab, UsageError, words, mode=Mode.COPY, **choices)


@pytest.mark.parametrize("mode", [Mode.SQUASH, Mode.PRUNE])
def test_referrers_go_along_in_one_mode_only(lab: Lab, mode: Mode) -> None:
    lab.put(app())
    fails(lab, UsageError, f"a {mode.value} gives it another one", mode=mode, referrers=True)


def test_comparing_tells_of_referrers_that_the_target_lacks(lab: Lab) -> None:
    digest = lab.put(app())
    choices = options(mode=Mode.COPY, referrers=True)
    assert not compare_image(lab.source(), lab.sink(), choices).up_to_date
    exactly(lab, referrers=True)
    assert compare_image(lab.source(), lab.sink(), choices).up_to_date
    refer(lab, digest, listed=False)
    assert not compare_image(lab.source(), lab.sink(), choices).up_to_date
    assert compare_image(lab.source(), lab.sink(), options(mode=Mode.COPY)).up_to_date


def test_a_plan_tells_what_would_move_and_what_stays_hidden(lab: Lab) -> None:
    lab.put(two_platforms())
    plan = lab.plan(mode=Mode.COPY)
    assert [each.platform for each in plan.platforms] == ["linux/amd64", "linux/arm64"]
    assert (plan.up_to_date, plan.warnings) == (False, ())
    for each in plan.platforms:
        assert each.compressed_before == each.compressed_after
        assert each.layers_before == each.layers_after == 4
        assert each.upload_bytes == each.compressed_after + app(platform=ARM64).config.size
        assert each.total_hidden > 0
    exactly(lab)
    plan = lab.plan(mode=Mode.COPY)
    assert plan.up_to_date
    assert [each.upload_bytes for each in plan.platforms] == [0, 0]
