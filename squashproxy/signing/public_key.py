"""Public keys, with which signatures are checked: ECDSA, Ed25519 and RSA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from nacl import bindings
from nacl.exceptions import BadSignatureError

from squashproxy.signing.strict_json import encode_base64

_HASHES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    SECP256R1.name: hashes.SHA256,
    SECP384R1.name: hashes.SHA384,
    SECP521R1.name: hashes.SHA512,
}
_LEAST_RSA_BITS = 2048
_MOST_RSA_BITS = 8192
_MOST_PEM = 64 << 10
NO_KIND = "signs no images; use ECDSA, Ed25519 or RSA"

Raw: TypeAlias = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures. `name` is where it came from, for people."""

    name: str = field(compare=False)
    raw: Raw = field(repr=False, compare=False)
    der: bytes = field(repr=False)

    @property
    def hint(self) -> str:
        """The key's name in a bundle: base64 of SHA-256 of its DER (as cosign 3 writes it)."""
        return encode_base64(sha256(self.der).digest())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key's DER, in hex: what tells keys apart in reports."""
        return sha256(self.der).hexdigest()

    @property
    def pem(self) -> bytes:
        """The key as PEM (SubjectPublicKeyInfo)."""
        return self.raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's for `message`.

        RSA is PKCS #1 v1.5 with SHA-256. Programs differ about the rest, so both ways count: ECDSA
        with SHA-256 or a hash as wide as its curve, Ed25519 with a prehash (cosign 3) or without.
        """
        try:
            return _VERIFIERS[_kind(self.raw)](self.raw, signature, message)
        except (InvalidSignature, UnsupportedAlgorithm):
            return False


def parse_public_key(data: bytes, name: str) -> PublicKey:
    """The key in a PEM file. Raises ValueError with the whole sentence."""
    if len(data) > _MOST_PEM:
        raise ValueError(f"{name} is too large for a key; name a PEM file with a public key")
    if b"PRIVATE KEY-----" in data:
        raise ValueError(f"{name} holds a private key; name the public one that belongs to it")
    try:
        raw = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            f"{name} holds no public key; name a PEM file, such as cosign.pub"
        ) from None
    return public_key_of(raw, name)


def public_key_of(raw: object, name: str) -> PublicKey:
    """A key that cryptography has parsed. Raises ValueError for kinds that sign no images."""
    if isinstance(raw, EllipticCurvePublicKey):
        if raw.curve.name not in _HASHES:
            raise ValueError(
                f"{name} is an ECDSA key on the curve {raw.curve.name}; use P-256, P-384 or P-521"
            )
    elif isinstance(raw, RSAPublicKey):
        if not _LEAST_RSA_BITS <= raw.key_size <= _MOST_RSA_BITS:
            raise ValueError(
                f"{name} is an RSA key of {raw.key_size} bits; use one of {_LEAST_RSA_BITS} to "
                f"{_MOST_RSA_BITS}"
            )
    elif not isinstance(raw, Ed25519PublicKey):
        raise ValueError(f"{name} is a key of a kind that {NO_KIND}")  # noqa: TRY004 - as parsers do
    der = raw.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(name, raw, der)


def _verify_ecdsa(raw: EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    try:
        raw.verify(signature, message, ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raw.verify(signature, message, ECDSA(_HASHES[raw.curve.name]()))
    return True


def _verify_rsa(raw: RSAPublicKey, signature: bytes, message: bytes) -> bool:
    raw.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    return True


def _verify_ed25519(raw: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        raw.verify(signature, message)
    except InvalidSignature:
        return _verifies_prehashed(raw, signature, message)
    return True


def _verifies_prehashed(raw: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    if len(signature) != bindings.crypto_sign_BYTES:
        return False
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    try:
        return bool(
            bindings.crypto_sign_ed25519ph_final_verify(
                state, signature, raw.public_bytes(Encoding.Raw, PublicFormat.Raw)
            )
        )
    except BadSignatureError:
        return False


_VERIFIERS: dict[str, Callable[..., bool]] = {
    "ecdsa": _verify_ecdsa,
    "rsa": _verify_rsa,
    "ed25519": _verify_ed25519,
}


def _kind(raw: Raw) -> str:
    if isinstance(raw, EllipticCurvePublicKey):
        return "ecdsa"
    return "rsa" if isinstance(raw, RSAPublicKey) else "ed25519"
