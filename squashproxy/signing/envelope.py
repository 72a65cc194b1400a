"""DSSE: an envelope around a signed payload (secure-systems-lab/dsse, protocol.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from squashproxy.oci.artifact import IN_TOTO
from squashproxy.signing.private_key import PrivateKey
from squashproxy.signing.public_key import PublicKey
from squashproxy.signing.strict_json import decode_base64, encode_base64

_MOST_SIGNATURES = 16


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and signatures that nobody has checked yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]

    def signer_among(self, keys: Iterable[PublicKey]) -> PublicKey | None:
        """The first key that signed the payload and its type; None where none did."""
        message = encoded(self.payload_type, self.payload)
        return next(
            (key for key in keys if any(key.verifies(each, message) for each in self.signatures)),
            None,
        )

    def to_json(self) -> dict[str, Any]:
        """The envelope's document."""
        return {
            "payload": encode_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"sig": encode_base64(each)} for each in self.signatures],
        }


def encoded(payload_type: str, payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, key: PrivateKey, payload_type: str = IN_TOTO) -> Envelope:
    """An envelope with one signature."""
    return Envelope(payload_type, payload, (key.sign(encoded(payload_type, payload)),))


def parse_envelope(document: object) -> Envelope:
    """The envelope in a JSON object. Raises ValueError with the reason."""
    if not isinstance(document, dict):
        raise ValueError("its envelope is no object")  # noqa: TRY004 - parsers of values raise this
    kind, signatures = document.get("payloadType"), document.get("signatures")
    if not isinstance(kind, str):
        raise ValueError("its envelope states no payload type")  # noqa: TRY004 - as above
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _MOST_SIGNATURES:
        raise ValueError(f"its envelope has not 1 to {_MOST_SIGNATURES} signatures")
    if not all(isinstance(each, dict) for each in signatures):
        raise ValueError("a signature of its envelope is no object")
    return Envelope(
        kind,
        decode_base64(document.get("payload")),
        tuple(decode_base64(each.get("sig")) for each in signatures),
    )
