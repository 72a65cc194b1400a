"""Signing a result: each image, and the index that lists them, before the tag moves.

A manifest that the key has signed already is not signed again, so that a second run adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError, NotFound
from squashproxy.oci.artifact import EMPTY
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.pipeline.signatures.candidates import Candidate, iter_bundles, iter_payloads
from squashproxy.pipeline.signatures.results import ResultSignature
from squashproxy.reference import Repository
from squashproxy.signing.bundle import make_bundle
from squashproxy.signing.signature_format import SignatureFormat
from squashproxy.signing.signature_manifest import (
    bundle_manifest,
    signature_layer,
    tag_for,
    tagged_config,
    tagged_manifest,
)
from squashproxy.signing.signing import Signing
from squashproxy.signing.simple_signing import SIMPLE_SIGNING, make_payload
from squashproxy.signing.statement import SIGNED, signing_statement
from squashproxy.transports.base import ImageSink, ReferrerSink
from squashproxy.transports.index_images import find_leaves


class _SignedSink(ImageSink, ReferrerSink, Protocol):
    """A sink that also holds signatures."""


def sign_result(
    sink: ImageSink, final: RawManifest, signing: Signing, known_as: Repository | None = None
) -> tuple[ResultSignature, ...]:
    """Sign the result, which the sink holds or gets now, and every image that it lists.

    `known_as` is the repository to name in signatures, if that is not the sink's own. Raises
    RegistryError.
    """
    assert isinstance(sink, ReferrerSink), "check_fit lets no other sink through"
    sink.write_manifest(final)
    signer = _Signer(sink, signing, str(known_as or sink.repository or sink.name))
    return tuple(made for each in _to_sign(sink, final) for made in signer.iter_signed(each))


def is_signed(sink: ImageSink, image: Digest, signing: Signing) -> bool:
    """Whether the key has signed a manifest of the sink, in each form. Raises RegistryError."""
    assert isinstance(sink, ReferrerSink), "check_fit lets no other sink through"
    return _Signer(sink, signing, str(sink.repository or sink.name)).has_signed(image)


def write_signed_statement(
    sink: ImageSink, image: Descriptor, statement: bytes, predicate_type: str, signing: Signing
) -> None:
    """Push an in-toto statement about an image, signed by the key, unless it is there already.

    The sink holds the image. Raises RegistryError.
    """
    assert isinstance(sink, ReferrerSink), "check_fit lets no other sink through"
    listed = sink.list_referrers(image.digest)
    own = (signing.key.public,)
    for each in iter_bundles(sink, image.digest, listed, predicate_type):
        if each.payload == statement and not each.doubt and each.signer_among(own):
            return
    _push_bundle(sink, image, make_bundle(statement, signing.key), predicate_type)


def _push_bundle(sink: _SignedSink, image: Descriptor, bundle: bytes, predicate_type: str) -> None:
    for data in (bundle, EMPTY):
        sink.write_blob((data,), digest_of(data), len(data))
    sink.write_referrer(bundle_manifest(bundle, image, predicate_type))


def _to_sign(sink: ImageSink, final: RawManifest) -> Iterator[Descriptor]:
    """The images of the result, then the result itself."""
    parsed = parse_manifest(final, f"the manifest of {sink.name}")
    if isinstance(parsed, ImageIndex):
        leaves = find_leaves(sink, parsed, tolerant=True)
        images = (each.descriptor for each in leaves.children if each.may_be_image)
        yield from {each.digest: each for each in images}.values()
    yield final.descriptor


@dataclass(frozen=True, slots=True)
class _Signer:
    """Signs manifests of one sink, in each form, under a name."""

    sink: _SignedSink
    signing: Signing
    name: str

    def iter_signed(self, image: Descriptor) -> Iterator[ResultSignature]:
        """Sign a manifest in each form that it lacks."""
        for form in self.signing.formats:
            sign = self._sign_bundle if form is SignatureFormat.BUNDLE else self._sign_tagged
            is_new = sign(image)
            yield ResultSignature(
                image.digest, form.value, self.signing.key.public.fingerprint, is_new
            )

    def has_signed(self, image: Digest) -> bool:
        """Whether nothing is left to sign of a manifest."""
        return all(
            self._has_bundle(image)
            if form is SignatureFormat.BUNDLE
            else self._is_among_tagged(image, self._tagged(image))
            for form in self.signing.formats
        )

    def _has_bundle(self, image: Digest) -> bool:
        listed = self.sink.list_referrers(image)
        return self._is_among(iter_bundles(self.sink, image, listed))

    def _sign_bundle(self, image: Descriptor) -> bool:
        if self._has_bundle(image.digest):
            return False
        bundle = make_bundle(signing_statement(image.digest), self.signing.key)
        _push_bundle(self.sink, image, bundle, SIGNED)
        return True

    def _sign_tagged(self, image: Descriptor) -> bool:
        held = self._tagged(image.digest)
        if self._is_among_tagged(image.digest, held):
            return False
        payload = make_payload(image.digest, self.name)
        signature = self.signing.key.sign(payload)
        layers = [*held, signature_layer(payload, signature)]
        config = tagged_config(layers)
        for data in (payload, config):
            self.sink.write_blob((data,), digest_of(data), len(data))
        self.sink.write_companion(tagged_manifest(config, layers), tag_for(image.digest))
        return True

    def _is_among_tagged(self, image: Digest, held: Sequence[Descriptor]) -> bool:
        signatures = iter_payloads(self.sink, image, held)
        return self._is_among(each for each in signatures if each.claimed_name == self.name)

    def _tagged(self, image: Digest) -> list[Descriptor]:
        """The signatures under the tag of a manifest."""
        there = self.sink.find_manifest(tag_for(image))
        return [] if there is None else self._layers_of(there)

    def _layers_of(self, tagged: Digest) -> list[Descriptor]:
        """The signatures that a tag holds already; none where it holds something else."""
        try:
            parsed = parse_manifest(self.sink.read_manifest(tagged), f"the signatures {tagged}")
        except (FormatError, NotFound):
            return []
        if isinstance(parsed, ImageIndex):
            return []
        return [layer for layer in parsed.layers if layer.media_type == SIMPLE_SIGNING]

    def _is_among(self, candidates: Iterable[Candidate]) -> bool:
        """Whether the key made one of these signatures."""
        own = (self.signing.key.public,)
        return any(not each.doubt and each.signer_among(own) for each in candidates)
