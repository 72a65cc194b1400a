"""Private keys, with which images are signed: cosign's encrypted form, PKCS #8, PKCS #1 and EC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from squashproxy.signing.key_box import is_box, open_box, seal_box
from squashproxy.signing.public_key import NO_KIND, PublicKey, public_key_of

_Raw: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey
_MOST_PEM = 64 << 10


class MissingPassword(ValueError):
    """The key is encrypted, and no password was given."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs. Neither its repr nor any message shows it."""

    public: PublicKey
    _raw: _Raw = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """A signature of `message`: of its SHA-256 (RSA in PKCS #1 v1.5), or plain Ed25519.

        Whatever the curve, `cosign verify` looks for SHA-256, and for Ed25519 without a prehash.
        """
        raw = self._raw
        if isinstance(raw, EllipticCurvePrivateKey):
            return raw.sign(message, ECDSA(hashes.SHA256()))
        if isinstance(raw, RSAPrivateKey):
            return raw.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return raw.sign(message)


def parse_private_key(data: bytes, name: str, password: bytes | None) -> PrivateKey:
    """The key in a PEM file. Raises ValueError with the whole sentence, which tells no secret."""
    if len(data) > _MOST_PEM:
        raise ValueError(f"{name} is too large for a key; name a PEM file with a private key")
    if b"PUBLIC KEY-----" in data:
        raise ValueError(f"{name} holds a public key; to sign, name the private one")
    if is_box(data):
        return _parse_box(data, name, password)
    if b"ENCRYPTED" in data and password is None:
        raise MissingPassword(f"{name} is encrypted, and no password was given")
    try:
        raw = load_pem_private_key(data, password if b"ENCRYPTED" in data else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        what = (
            "its password is another one, or it is damaged"
            if b"ENCRYPTED" in data
            else ("it holds no private key; name a PEM file, such as cosign.key")
        )
        raise ValueError(f"{name} could not be read: {what}") from None
    return _key_of(raw, name)


def make_private_key(name: str) -> PrivateKey:
    """A new ECDSA key on P-256, as cosign makes them."""
    return _key_of(generate_private_key(SECP256R1()), name)


def seal_private_key(key: PrivateKey, password: bytes, random: bytes) -> bytes:
    """A key as cosign writes it: PEM, encrypted with a password, which may be empty.

    `random` are RANDOM_BYTES of key_box that nobody knows.
    """
    der = key._raw.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # noqa: SLF001 - the two are one unit
    return seal_box(der, password, random)


def _parse_box(data: bytes, name: str, password: bytes | None) -> PrivateKey:
    if password is None:
        raise MissingPassword(f"{name} is encrypted, and no password was given")
    try:
        der = open_box(data, password)
    except ValueError as error:
        raise ValueError(f"{name} could not be opened: {error}") from None
    try:
        raw = load_der_private_key(der, None)
    except UnsupportedAlgorithm:
        raise ValueError(f"{name} is a key of a kind that {NO_KIND}") from None
    except ValueError:
        raise ValueError(f"{name} holds no private key that can be read") from None
    return _key_of(raw, name)


def _key_of(raw: object, name: str) -> PrivateKey:
    if not isinstance(raw, EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey):
        raise ValueError(f"{name} is a key of a kind that {NO_KIND}")  # noqa: TRY004 - as parsers do
    return PrivateKey(public_key_of(raw.public_key(), name), raw)
