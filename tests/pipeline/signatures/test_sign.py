"""`signing`: each image and the index, before the tag moves, and once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import CopyResult
from squashproxy.signing.bundle import Bundle, parse_bundle
from squashproxy.signing.signature_format import SignatureFormat
from squashproxy.signing.signature_manifest import tag_for
from squashproxy.signing.signing import Signing
from squashproxy.signing.statement import SIGNED
from squashproxy.testing import Fault, FaultKind, ImageBuilder, LayerBuilder, index_of
from squashproxy.testing.images import AMD64
from squashproxy.transports import archives
from squashproxy.transports.base import ImageSink, ImageSource
from tests.pipeline.lab import Lab, Listener, options
from tests.pipeline.signatures.signed import OTHER, RIGHT, archive, image, sign_by_bundle
from tests.pipeline.signatures.test_check import ARM64

BOTH = Signing(RIGHT, tuple(SignatureFormat))
BUNDLE = Signing(RIGHT)
KEYS = (RIGHT.public,)


def copied(lab: Lab, source: ImageSource, sink: ImageSink, **choices: Any) -> CopyResult:
    """The copy of any source to any sink."""
    return copy_image(
        source,
        sink,
        options(**choices),
        open_source=lab.open,
        observer=Listener(),
        clock=float,
    )


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("lists", [True, False], ids=["referrers API", "fallback tags"])
@pytest.mark.parametrize("form", SignatureFormat)
def test_what_is_signed_passes_the_check(
    labs: Callable[..., Lab], form: SignatureFormat, mode: Mode, *, lists: bool
) -> None:
    lab = labs(one=True, old={"referrers": lists})
    lab.put(image())
    made = lab.copy(target="out:1", signing=Signing(RIGHT, (form,)), mode=mode)
    assert [(each.digest, each.format, each.is_new) for each in made.signatures] == [
        (made.digest, form.value, True)
    ]
    checked = lab.copy(source="out:1", target="next:1", required_keys=KEYS, mode=Mode.COPY)
    assert [each.digest for each in checked.signed_by] == [made.digest]


@pytest.mark.parametrize("force", [False, True], ids=["up to date", "forced"])
@pytest.mark.parametrize("mode", Mode)
def test_a_second_run_adds_no_second_signature(lab: Lab, mode: Mode, *, force: bool) -> None:
    lab.put(image())
    first = lab.copy(signing=BOTH, mode=mode)
    held = lab.new.manifests("app")
    again = lab.copy(signing=BOTH, mode=mode, force=force)
    assert [each.is_new for each in first.signatures] == [True, True]
    assert [each.is_new for each in again.signatures] == [False, False]
    assert lab.new.manifests("app") == held


def test_another_key_adds_its_signature_to_those_that_are_there(lab: Lab) -> None:
    lab.put(image())
    digest = lab.copy(signing=BOTH).digest
    again = lab.copy(signing=Signing(OTHER, tuple(SignatureFormat)))
    assert [each.is_new for each in again.signatures] == [True, True]
    tagged = json.loads(lab.new.manifest("app", tag_for(Digest(digest))).data)
    assert len(tagged["layers"]) == 2
    for key in (RIGHT, OTHER):
        source = lab.open(lab.sink()._reference)
        checked = copied(
            lab, source, lab.sink("next:1"), required_keys=(key.public,), mode=Mode.COPY, force=True
        )
        assert checked.signed_by


def test_what_is_up_to_date_and_unsigned_is_signed(lab: Lab) -> None:
    """As after a copy without a key, or one that was cut off between the two."""
    lab.put(image())
    digest = lab.copy().digest
    again = lab.copy(signing=BUNDLE)
    assert again.skipped
    assert [(each.digest, each.is_new) for each in again.signatures] == [(digest, True)]


def test_each_image_of_an_index_is_signed_and_the_index(lab: Lab) -> None:
    built = [
        ImageBuilder(platform=platform).layer(LayerBuilder().file(str(platform), b"1"))
        for platform in (AMD64, ARM64)
    ]
    lab.put(index_of(built, attestations=True))
    made = lab.copy(signing=BUNDLE)
    images = [each.digest for each in made.platforms]
    assert [each.digest for each in made.signatures] == [*images, made.digest]


def test_the_tag_moves_after_the_signatures(lab: Lab) -> None:
    lab.put(image())
    lab.copy(signing=BOTH)
    put = [each.path for each in lab.new.requests if each.method == "PUT"]
    assert put[-1].endswith("/manifests/1")
    assert any(each.endswith(".sig") for each in put)


@pytest.mark.parametrize("path", ["/manifests/sha256-", "/manifests/sha256:"])
def test_a_signature_that_is_refused_leaves_the_tag_where_it_was(lab: Lab, path: str) -> None:
    lab.put(image())
    lab.new.arm(Fault("PUT", path, FaultKind.ANSWER, status=403, times=99))
    with pytest.raises(SquashproxyError):
        lab.copy(signing=BOTH)
    assert "1" not in lab.new.tags("app")
    lab.new.disarm()
    made = lab.copy(signing=BOTH)
    assert {each.format for each in made.signatures} == {"bundle", "tag"}
    assert "1" in lab.new.tags("app")


def test_no_signature_of_the_source_is_copied_onto_the_result(lab: Lab) -> None:
    one = lab.put(image())
    source = lab.copy(signing=BOTH, mode=Mode.COPY)
    assert source.digest == one
    squashed = lab.copy(target="squashed:1")
    names = [tag for tag in lab.new.tags("squashed") if tag.startswith("sha256-")]
    assert not names
    assert not lab.sink("squashed:1").list_referrers(lab.new.tags("squashed")["1"])
    assert squashed.digest != one


@pytest.mark.parametrize("place", ["oci", "oci-archive"])
def test_layouts_keep_signatures(lab: Lab, tmp_path: Path, place: str) -> None:
    lab.put(image())
    target = archive(f"{place}:{tmp_path}/out:1")
    sink = archives.open_sink(target)
    copied(lab, lab.source(), sink, signing=BOTH)
    sink.close()
    source = archives.open_source(target)
    checked = copied(lab, source, lab.sink("back:1"), required_keys=KEYS, mode=Mode.COPY)
    source.close()
    assert checked.signed_by


def test_an_archive_of_docker_save_takes_no_signatures(lab: Lab, tmp_path: Path) -> None:
    lab.put(image())
    sink = archives.open_sink(archive(f"docker-archive:{tmp_path}/app.tar:app:1"))
    with pytest.raises(UsageError, match="a signature stands beside the image"):
        copied(lab, lab.source(), sink, signing=BOTH)
    sink.close()


def test_provenance_is_signed_too_and_tells_who_signed_the_source(lab: Lab) -> None:
    digest = lab.put(image())
    sign_by_bundle(lab.old, "app", digest, OTHER)
    choices: dict[str, Any] = {
        "signing": BUNDLE,
        "provenance": True,
        "required_keys": (OTHER.public,),
    }
    made = lab.copy(**choices)
    held = lab.new.manifests("app")
    lab.copy(**choices, force=True)
    assert lab.new.manifests("app") == held, "nothing is said twice"
    [found] = _attestations(lab, Digest(made.digest))
    assert found.envelope.signer_among(KEYS)
    assert found.statement.subjects == {made.digest}
    build = found.statement.predicate["buildDefinition"]
    assert build["resolvedDependencies"][0]["digest"]["sha256"] == digest.partition(":")[2]
    key = f"sha256:{OTHER.public.fingerprint}"
    assert build["internalParameters"]["signed_by"] == [{"digest": digest, "key": key}]
    assert build["internalParameters"]["mode"] == "squash"


def _attestations(lab: Lab, digest: Digest) -> list[Bundle]:
    """The bundles about an image that are no signatures."""
    found = []
    for each in lab.sink().list_referrers(digest):
        manifest = json.loads(lab.new.manifest("app", each.digest).data)
        bundle = parse_bundle(lab.new.blob("app", manifest["layers"][0]["digest"]))
        stated = manifest["annotations"]["dev.sigstore.bundle.predicateType"]
        assert stated == bundle.statement.predicate_type
        if bundle.statement.predicate_type != SIGNED:
            found.append(bundle)
    return found
