"""Sigstore bundles made with a key: a signed in-toto statement (cosign 3, BUNDLE_SPEC.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from squashproxy.oci.artifact import IN_TOTO
from squashproxy.oci.manifest import encode_json
from squashproxy.signing.envelope import Envelope, parse_envelope, seal
from squashproxy.signing.private_key import PrivateKey
from squashproxy.signing.statement import Statement, parse_statement
from squashproxy.signing.strict_json import parse_object

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_BUNDLE = re.compile(
    r"application/vnd\.dev\.sigstore\.bundle(\.v0\.[0-9]+\+json|\+json;version=0\.[0-9]+)"
)
MOST_BUNDLE = 1 << 20
"""Bytes of a bundle. One that signs an image has some hundred; with provenance, some thousand."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An envelope, and the statement in it that it signs if a signature of it holds."""

    envelope: Envelope
    statement: Statement


def is_bundle_type(media_type: str) -> bool:
    """Whether a media type is that of a bundle, in any version."""
    return _BUNDLE.fullmatch(media_type) is not None


def make_bundle(statement: bytes, key: PrivateKey) -> bytes:
    """A bundle in which a key signs a statement."""
    document = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.public.hint}},
        "dsseEnvelope": seal(statement, key).to_json(),
    }
    return encode_json(document)


def parse_bundle(data: bytes) -> Bundle:
    """The bundle in a blob. Raises ValueError with the reason."""
    document = parse_object(data)
    kind = document.get("mediaType")
    if not isinstance(kind, str) or not is_bundle_type(kind):
        raise ValueError("it does not say that it is a sigstore bundle")
    if "dsseEnvelope" not in document:
        raise ValueError("it holds no DSSE envelope")
    envelope = parse_envelope(document["dsseEnvelope"])
    if envelope.payload_type != IN_TOTO:
        raise ValueError("its payload is no in-toto statement")
    return Bundle(envelope, parse_statement(envelope.payload))
