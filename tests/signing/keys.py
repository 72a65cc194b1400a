"""Keys of every kind, made for a test."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

KINDS: dict[
    str, Callable[[], ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey]
]
KINDS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def pem(
    kind: str, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None
) -> bytes:
    """A new private key as PEM."""
    hidden = NoEncryption() if password is None else BestAvailableEncryption(password)
    return KINDS[kind]().private_bytes(Encoding.PEM, form, hidden)
