"""The signatures of one manifest, wherever a registry or layout keeps them, before any check.

Two forms count (issue 29): sigstore bundles among the referrers, found by the registry's list or by
the one under a tag (distribution specification 1.1), and payloads under the tag `sha256-HEX.sig`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, IntegrityError, NotFound
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest
from squashproxy.signing.bundle import MOST_BUNDLE, Bundle, is_bundle_type, parse_bundle
from squashproxy.signing.public_key import PublicKey
from squashproxy.signing.signature_manifest import annotation_of
from squashproxy.signing.simple_signing import MOST_PAYLOAD, SIMPLE_SIGNING, Claim, parse_payload
from squashproxy.signing.statement import SIGNED
from squashproxy.signing.strict_json import decode_base64

MOST_SIGNATURES = 64
"""Signatures of one image that are looked at; each costs requests, and anybody may attach some."""


class SignaturePlace(Protocol):
    """The part of sources and sinks that signatures are read from."""

    @property
    def name(self) -> str:
        """The reference, for people."""
        ...

    def read_manifest(self, digest: Digest) -> RawManifest:
        """The manifest of `digest`; digest verified."""
        ...

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, verified."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a signature of an image.

    `signer_among` gives the key of these that made it, `payload` is what it signs; `claimed_name`
    is the name that it is signed under, None for forms without one. `doubt` says why it is no
    signature of this image, whoever made it; empty where it is.
    """

    what: str
    signer_among: Callable[[Iterable[PublicKey]], PublicKey | None] = lambda _: None
    claimed_name: str | None = None
    doubt: str = ""
    payload: bytes = b""


def iter_bundles(
    place: SignaturePlace,
    image: Digest,
    referrers: Sequence[Descriptor],
    predicate_type: str = SIGNED,
) -> Iterator[Candidate]:
    """The bundles among the referrers of an image with a predicate; by default its signatures.

    An attestation is no signature: its signer vouches for what it says, not for the image. Raises
    temporary errors of the registry.
    """
    for each in referrers:
        stated = each.extra.get("artifactType")
        if isinstance(stated, str) and not is_bundle_type(stated):
            continue
        what = f"bundle {each.digest}"
        try:
            bundle = _read_bundle(place, each.digest)
        except (ValueError, FormatError, IntegrityError, NotFound) as error:
            yield Candidate(what, doubt=str(error))
            continue
        if bundle is None or bundle.statement.predicate_type != predicate_type:
            continue
        envelope = bundle.envelope
        doubt = "" if image in bundle.statement.subjects else "it signs another digest"
        yield Candidate(what, envelope.signer_among, None, doubt, envelope.payload)


def iter_tagged(place: SignaturePlace, image: Digest, tagged: Digest) -> Iterator[Candidate]:
    """The signatures in the image `tagged`, to which the signatures' tag points.

    Raises temporary errors of the registry.
    """
    try:
        layers = _read_image(place, tagged).layers
    except (FormatError, IntegrityError, NotFound) as error:
        yield Candidate(f"signatures {tagged}", doubt=str(error))
        return
    yield from iter_payloads(place, image, layers)


def iter_payloads(
    place: SignaturePlace, image: Digest, layers: Sequence[Descriptor]
) -> Iterator[Candidate]:
    """The signatures among the layers of what a signatures' tag points to.

    Raises temporary errors of the registry.
    """
    for layer in layers:
        if layer.media_type != SIMPLE_SIGNING:
            continue
        what = f"signature {layer.digest}"
        try:
            payload = _read(place, layer, MOST_PAYLOAD)
            signature = decode_base64(annotation_of(layer))
            claim = parse_payload(payload)
        except (ValueError, FormatError, IntegrityError, NotFound) as error:
            yield Candidate(what, doubt=str(error))
            continue
        yield _tagged(what, image, payload, signature, claim)


def _tagged(what: str, image: Digest, payload: bytes, signature: bytes, claim: Claim) -> Candidate:
    def signer_among(keys: Iterable[PublicKey]) -> PublicKey | None:
        return next((key for key in keys if key.verifies(signature, payload)), None)

    doubt = "" if claim.digest == image else "it signs another digest"
    return Candidate(what, signer_among, claim.name, doubt)


def _read_bundle(place: SignaturePlace, digest: Digest) -> Bundle | None:
    """The bundle in a referrer; None for a referrer of another kind."""
    manifest = _read_image(place, digest)
    if not any(is_bundle_type(layer.media_type) for layer in manifest.layers):
        return None
    if len(manifest.layers) != 1:
        raise ValueError("it has more layers than a bundle's one")
    return parse_bundle(_read(place, manifest.layers[0], MOST_BUNDLE))


def _read_image(place: SignaturePlace, digest: Digest) -> ImageManifest:
    parsed = parse_manifest(place.read_manifest(digest), f"the manifest {digest} of {place.name}")
    if isinstance(parsed, ImageIndex):
        raise FormatError(f"the manifest {digest} of {place.name} is an index, and no signature")
    return parsed


def _read(place: SignaturePlace, blob: Descriptor, most: int) -> bytes:
    if blob.size > most:
        raise ValueError(f"it has {blob.size} bytes, and at most {most} are read")
    return b"".join(place.iter_blob(blob))
