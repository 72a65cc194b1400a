"""Images and signatures of them, sound and otherwise, in a registry."""

from __future__ import annotations

from typing import Any

from squashproxy.digest import Digest, digest_of
from squashproxy.location import ArchiveReference, parse_location
from squashproxy.oci.artifact import EMPTY
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.registry.referrers import fallback_tag, with_referrer
from squashproxy.signing.bundle import make_bundle
from squashproxy.signing.private_key import PrivateKey, make_private_key
from squashproxy.signing.signature_manifest import (
    bundle_manifest,
    signature_layer,
    tag_for,
    tagged_config,
    tagged_manifest,
)
from squashproxy.signing.simple_signing import make_payload
from squashproxy.signing.statement import SIGNED, signing_statement
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from tests.pipeline.images import noise

RIGHT, WRONG, OTHER = (make_private_key(name) for name in ("right", "wrong", "other"))


def image(seed: int = 1) -> ImageBuilder:
    """An image with a base, a file that is hidden, and one that hides it."""
    return (
        ImageBuilder()
        .layer(LayerBuilder().file("base", noise(2_000, seed)))
        .layer(LayerBuilder().file("cache", noise(9_000, 50)))
        .layer(LayerBuilder().whiteout("cache").file("app", noise(2_000, seed + 100)))
    )


def attach(registry: FakeRegistry, repo: str, subject: Digest, bundle: bytes) -> RawManifest:
    """Put a bundle beside a manifest, as its referrer."""
    raw = registry.manifest(repo, subject)
    registry.put_blob(repo, bundle)
    registry.put_blob(repo, EMPTY)
    manifest = bundle_manifest(bundle, raw.descriptor, SIGNED)
    registry.put_manifest(repo, None, manifest.data, manifest.media_type)
    if not registry.options.referrers:
        listing = with_referrer((), manifest)
        assert listing is not None
        registry.put_manifest(repo, fallback_tag(subject), listing.data, listing.media_type)
    return manifest


def sign_by_bundle(
    registry: FakeRegistry,
    repo: str,
    subject: Digest,
    key: PrivateKey = RIGHT,
    statement: bytes | None = None,
) -> None:
    """Sign a manifest as cosign 3 does."""
    attach(registry, repo, subject, make_bundle(statement or signing_statement(subject), key))


def sign_by_tag(  # noqa: PLR0917 - as sign_by_bundle, and how often
    registry: FakeRegistry,
    repo: str,
    subject: Digest,
    key: PrivateKey = RIGHT,
    payload: bytes | None = None,
    times: int = 1,
) -> None:
    """Sign a manifest as cosign 2 does; `times` gives it that many signatures."""
    payload = payload or make_payload(subject, f"{registry.host}/{repo}")
    layers = [signature_layer(payload, key.sign(payload)) for _ in range(times)]
    put_tagged(registry, repo, subject, payload, layers)


def put_tagged(
    registry: FakeRegistry, repo: str, subject: Digest, payload: bytes, layers: list[Descriptor]
) -> None:
    """Put layers, whose payload is the same, under the tag of a manifest's signatures."""
    config = tagged_config(layers)
    for data in (payload, config):
        registry.put_blob(repo, data)
    raw = tagged_manifest(config, layers)
    registry.put_manifest(repo, tag_for(subject), raw.data, raw.media_type)


def statement(image: Digest, /, **changes: Any) -> bytes:
    """A signing statement with other fields."""
    algorithm, _, text = image.partition(":")
    return encode_json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {algorithm: text}}],
            "predicateType": SIGNED,
            "predicate": {},
            **changes,
        }
    )


def archive(text: str) -> ArchiveReference:
    """A layout or an archive."""
    place = parse_location(text)
    assert isinstance(place, ArchiveReference)
    return place


NOBODY = digest_of(b"nothing that exists")
