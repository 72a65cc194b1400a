"""Simple signing: the payload of cosign's signatures under a tag (cosign, SIGNATURE_SPEC.md).

The same payload is that of podman's `sigstoreSigned` policies (containers-image-signature).
"""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.manifest import encode_json
from squashproxy.signing.strict_json import parse_object

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
"""The annotation of a payload's layer that holds the signature, in base64."""

MOST_PAYLOAD = 64 << 10
_TYPES = ("cosign container image signature", "atomic container signature")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a payload claims: that an image of this digest goes by this name."""

    digest: str
    name: str


def make_payload(digest: Digest, name: str) -> bytes:
    """The payload to sign for an image; `name` is its repository, or a reference."""
    document = {
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": _TYPES[0],
        },
        "optional": None,
    }
    return encode_json(document)


def parse_payload(data: bytes) -> Claim:
    """The claim of a payload. Raises ValueError with the reason."""
    critical = parse_object(data).get("critical")
    try:
        kind = critical["type"]  # type: ignore[index]  # what is no object raises TypeError
        digest = critical["image"]["docker-manifest-digest"]  # type: ignore[index]  # as above
        name = critical["identity"]["docker-reference"]  # type: ignore[index]  # as above
    except (KeyError, TypeError):
        raise ValueError("its payload lacks a name, a digest or a type") from None
    if kind not in _TYPES or not isinstance(digest, str) or not isinstance(name, str):
        raise ValueError("its payload is no signature of a container image")
    return Claim(digest, name)
