"""`required_keys`: every doubt refuses, before a layer is read."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import Unsigned, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.platform import Platform, parse_platform
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.reference import Repository
from squashproxy.signing.bundle import make_bundle
from squashproxy.signing.signature_manifest import signature_layer
from squashproxy.signing.simple_signing import SIGNATURE, make_payload
from squashproxy.signing.statement import signing_statement
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder, index_of
from squashproxy.testing.images import AMD64
from squashproxy.transports import archives
from tests.pipeline.lab import Lab, Listener, fails, options
from tests.pipeline.signatures.signed import (
    NOBODY,
    OTHER,
    RIGHT,
    WRONG,
    archive,
    attach,
    image,
    put_tagged,
    sign_by_bundle,
    sign_by_tag,
    statement,
)

ARM64 = Platform("linux", "arm64")
KEYS = (OTHER.public, RIGHT.public)
Put = Callable[[FakeRegistry, str, Digest], None]


def _read_layers(lab: Lab, image: ImageBuilder) -> list[str]:
    """The layers of the image that were read."""
    layers = {layer.digest for layer in image.build().layers}
    return [each.path for each in lab.old.requests if each.path.rpartition("/")[2] in layers]


FORMS: dict[str, Put] = {"bundle": sign_by_bundle, "tag": sign_by_tag}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("lists", [True, False], ids=["referrers API", "fallback tags"])
@pytest.mark.parametrize("sign", FORMS.values(), ids=FORMS)
def test_a_signed_image_is_copied(
    labs: Callable[..., Lab], sign: Put, mode: Mode, *, lists: bool
) -> None:
    lab = labs(old={"referrers": lists})
    digest = lab.put(image())
    sign(lab.old, "app", digest)
    result = lab.copy(required_keys=KEYS, mode=mode)
    assert [(each.digest, each.key) for each in result.signed_by] == [(digest, "right")]
    assert lab.new.tags("app")


def _by_wrong_key(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    sign_by_bundle(registry, repo, digest, WRONG)
    sign_by_tag(registry, repo, digest, WRONG)


def _bundle(change: Callable[[dict[str, Any]], object]) -> Put:
    """A bundle by the right key that was altered behind its back."""

    def put(registry: FakeRegistry, repo: str, digest: Digest) -> None:
        document = json.loads(make_bundle(signing_statement(digest), RIGHT))
        change(document)
        attach(registry, repo, digest, json.dumps(document).encode())

    return put


def _stating(**changes: Any) -> Put:
    """A bundle by the right key with another statement."""
    return lambda registry, repo, digest: sign_by_bundle(
        registry, repo, digest, RIGHT, statement(digest, **changes)
    )


def _claiming(payload: Callable[[Digest, str], bytes]) -> Put:
    """A signature under a tag by the right key with another payload."""
    return lambda registry, repo, digest: sign_by_tag(
        registry, repo, digest, RIGHT, payload(digest, f"{registry.host}/{repo}")
    )


def _layer(**changes: Any) -> Put:
    """A signature under a tag by the right key whose layer says something else."""

    def put(registry: FakeRegistry, repo: str, digest: Digest) -> None:
        payload = make_payload(digest, f"{registry.host}/{repo}")
        sound = signature_layer(payload, RIGHT.sign(payload))
        fields = {**sound.to_json(), **changes}
        extra = {"annotations": fields["annotations"]}
        layer = Descriptor(fields["mediaType"], sound.digest, sound.size, extra)
        put_tagged(registry, repo, digest, payload, [layer])

    return put


def _envelope(**changes: Any) -> Put:
    return _bundle(lambda document: document["dsseEnvelope"].update(changes))


def _resigned(document: dict[str, Any]) -> None:
    """Let the payload name a digest that was not signed."""
    envelope = document["dsseEnvelope"]
    payload = b64decode(envelope["payload"])
    envelope["payload"] = b64encode(payload.replace(b'"predicate":{}', b'"predicate":{ }')).decode()


def _twice(digest: Digest, name: str) -> bytes:
    sound = make_payload(digest, name).decode()
    return sound.replace(
        '"type"', f'"image":{{"docker-manifest-digest":"{NOBODY}"}},"type"'
    ).encode()


def _nothing(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    """No signature at all."""


def _dropped(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    bundle = make_bundle(signing_statement(digest), RIGHT)
    attach(registry, repo, digest, bundle)
    registry.drop_blob(repo, digest_of(bundle))


def _many(registry: FakeRegistry, repo: str, digest: Digest) -> None:
    sign_by_tag(registry, repo, digest, WRONG, times=1000)


OTHER_TYPE = "application/vnd.example"
UNSIGNED: dict[str, tuple[Put, str]] = {
    "no signature": (_nothing, "it has no signature"),
    "another key, in both forms": (_by_wrong_key, "is of another key"),
    "an altered payload": (_bundle(_resigned), "is of another key"),
    "another payload type": (_envelope(payloadType="text/plain"), "no in-toto statement"),
    "no signatures in the envelope": (_envelope(signatures=[]), "not 1 to 16 signatures"),
    "a thousand in the envelope": (_envelope(signatures=[{"sig": "AA=="}] * 1000), "1 to 16"),
    "signatures that are none": (_envelope(signatures=[5]), "is no object"),
    "a signature without bytes": (_envelope(signatures=[{}]), "it is no text"),
    "a payload that is no base64": (_envelope(payload="*"), "it is no base64"),
    "an envelope that is none": (_bundle(lambda each: each.update(dsseEnvelope=5)), "no object"),
    "no envelope": (_bundle(lambda each: each.pop("dsseEnvelope")), "holds no DSSE envelope"),
    "a bundle of another kind": (
        _bundle(lambda each: each.update(mediaType=OTHER_TYPE)),
        "sigstore",
    ),
    "a bundle for another digest": (
        _stating(subject=[{"digest": {"sha256": "0" * 64}}]),
        "it signs another digest",
    ),
    "a bundle about nothing": (_stating(subject=[]), "it signs another digest"),
    "a bundle whose subject is odd": (_stating(subject=[5]), "has no digest"),
    "an attestation, not a signature": (
        _stating(predicateType="https://slsa.dev/provenance/v1"),
        "it has no signature",
    ),
    "another statement": (_stating(_type="https://example.com"), "no in-toto statement"),
    "a payload for another digest": (
        _claiming(lambda _, name: make_payload(NOBODY, name)),
        "it signs another digest",
    ),
    "a payload for another name": (
        _claiming(lambda digest, _: make_payload(digest, "registry.example.com/other")),
        "is for the name registry.example.com/other",
    ),
    "a payload for no name": (
        _claiming(lambda digest, _: make_payload(digest, "")),
        "is for the name ; nothing was copied",
    ),
    "a payload with the digest twice": (_claiming(_twice), "it has a key twice"),
    "a payload of another kind": (_claiming(lambda *_: b'{"critical": {}}'), "lacks a name"),
    "a payload that is a list": (_claiming(lambda *_: b"[]"), "it is no JSON object"),
    "a payload without end": (_claiming(lambda *_: b'{"a":' * 5000), "nested too deep"),
    "a payload of megabytes": (_claiming(lambda *_: b" " * (1 << 20)), "at most 65536 are read"),
    "no signature on the payload": (_layer(annotations={}), "it is no text"),
    "another layer under the tag": (_layer(mediaType=OTHER_TYPE), "it has no signature"),
    "sloppy base64": (_layer(annotations={SIGNATURE: "QUI"}), "it is no base64"),
    "a signature whose blob is gone": (_dropped, "no blob"),
    "a thousand signatures": (_many, "is of another key, and 64 more like it"),
}


@pytest.mark.parametrize(("put", "why"), UNSIGNED.values(), ids=UNSIGNED)
def test_every_doubt_refuses_before_a_layer_is_read(lab: Lab, put: Put, why: str) -> None:
    source = image()
    put(lab.old, "app", lab.put(source))
    lab.forget_requests()
    error = fails(lab, Unsigned, why, "nothing was copied", required_keys=KEYS)
    assert "other, right" in str(error)
    assert not _read_layers(lab, source)
    assert len(lab.old.requests) < 100


def test_a_sound_signature_among_bad_ones_counts(lab: Lab) -> None:
    digest = lab.put(image())
    _by_wrong_key(lab.old, "app", digest)
    sign_by_bundle(lab.old, "app", digest, RIGHT, statement(digest, subject=[]))
    sign_by_bundle(lab.old, "app", digest)
    assert lab.copy(required_keys=KEYS).signed_by


def test_a_signature_under_another_name_counts_where_that_is_allowed(lab: Lab) -> None:
    digest = lab.put(image())
    sign_by_tag(lab.old, "app", digest, payload=make_payload(digest, "registry.example.com/app:1"))
    fails(lab, Unsigned, "allow that name with `signed_as`", required_keys=KEYS)
    names = (Repository("registry.example.com", "app"),)
    assert lab.copy(required_keys=KEYS, signed_as=names).signed_by


def test_the_digest_that_was_checked_is_the_digest_that_is_copied(lab: Lab) -> None:
    signed, unsigned = image(1), image(2)
    digest = lab.put(signed)
    sign_by_bundle(lab.old, "app", digest)

    def move(method: str, path: str) -> None:
        if method == "GET" and "/referrers/" in path:
            unsigned.push(lab.old, "app", "1")

    lab.old.before_each(move)
    result = lab.copy(required_keys=KEYS)
    assert result.source_digest == digest
    assert lab.arrived().layers[0] == signed.build().layers[0].digest
    assert lab.old.tags("app")["1"] != digest


def _index(lab: Lab) -> tuple[Digest, list[Digest]]:
    built = [
        ImageBuilder(platform=platform).layer(
            LayerBuilder().file("a", platform.architecture.encode())
        )
        for platform in (AMD64, ARM64)
    ]
    index = index_of(built, attestations=True)
    digest = lab.put(index)
    return digest, [image.build().digest for image in built]


def test_a_signed_index_vouches_for_all_that_it_lists(lab: Lab) -> None:
    digest, _ = _index(lab)
    sign_by_bundle(lab.old, "app", digest)
    assert [each.digest for each in lab.copy(required_keys=KEYS).signed_by] == [digest]


def test_images_of_an_index_may_be_signed_one_by_one(lab: Lab) -> None:
    digest, images = _index(lab)
    sign_by_bundle(lab.old, "app", images[0])
    fails(lab, Unsigned, str(images[1]), f"nor is the index {digest}", required_keys=KEYS)
    chosen = (parse_platform("linux/amd64"),)
    assert lab.copy(required_keys=KEYS, platforms=chosen).signed_by
    sign_by_tag(lab.old, "app", images[1])
    lab.new.drop_tag("app", "1")
    found = lab.copy(required_keys=KEYS).signed_by
    assert [each.digest for each in found] == images


def test_a_whole_index_that_is_copied_as_it_is_has_no_unsigned_part(lab: Lab) -> None:
    _, images = _index(lab)
    for each in images:
        sign_by_bundle(lab.old, "app", each)
    fails(lab, Unsigned, "it has no signature", required_keys=KEYS, mode=Mode.COPY)


def test_an_archive_of_docker_save_holds_no_signatures(lab: Lab, tmp_path: Any) -> None:
    place = archive(f"docker-archive:{tmp_path}/app.tar")
    sink = archives.open_sink(archive(f"docker-archive:{tmp_path}/app.tar:app:1"))
    lab.put(image())
    arguments: dict[str, Any] = {"open_source": lab.open, "observer": Listener(), "clock": float}
    copy_image(lab.source(), sink, options(), **arguments)
    sink.close()
    source = archives.open_source(place)
    with pytest.raises(UsageError, match="holds no signatures, so that none can be checked"):
        copy_image(source, lab.sink(), options(required_keys=KEYS), **arguments)
    source.close()


def test_without_required_keys_nothing_is_asked(lab: Lab) -> None:
    lab.put(image())
    lab.copy()
    assert not any("referrers" in each.path or "sha256-" in each.path for each in lab.old.requests)
