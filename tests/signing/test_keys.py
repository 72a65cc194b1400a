"""Keys: read in every form, and signatures that only the right one accepts."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from nacl import bindings

from squashproxy.signing.key_box import RANDOM_BYTES, open_box, seal_box
from squashproxy.signing.private_key import (
    MissingPassword,
    PrivateKey,
    make_private_key,
    parse_private_key,
    seal_private_key,
)
from squashproxy.signing.public_key import PublicKey, parse_public_key, public_key_of
from tests.signing.keys import KINDS, pem

RANDOM = bytes(range(RANDOM_BYTES))
SPKI = PublicFormat.SubjectPublicKeyInfo


def _read(kind: str) -> PrivateKey:
    return parse_private_key(pem(kind), kind, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_verifies_what_it_signed_and_nothing_else(kind: str) -> None:
    key, other = _read(kind), _read(kind)
    signature = key.sign(b"message")
    assert key.public.verifies(signature, b"message")
    assert not key.public.verifies(signature, b"massage")
    assert not other.public.verifies(signature, b"message")
    assert not key.public.verifies(signature[:-1], b"message")
    assert not key.public.verifies(b"", b"message")


def test_other_programs_hashes_count_too() -> None:
    wide = ec.generate_private_key(ec.SECP384R1())
    signature = wide.sign(b"message", ec.ECDSA(hashes.SHA384()))
    assert public_key_of(wide.public_key(), "wide").verifies(signature, b"message")
    seed, key = bytes(range(32)), Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, b"message")
    secret = bindings.crypto_sign_seed_keypair(seed)[1]
    signature = bindings.crypto_sign_ed25519ph_final_create(state, secret)
    public = public_key_of(key.public_key(), "prehashed")
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"massage")


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_is_read_from_its_pem(kind: str) -> None:
    key = _read(kind)
    public = parse_public_key(key.public.pem, "pub")
    assert public.verifies(key.sign(b"x"), b"x")
    assert public.fingerprint == key.public.fingerprint
    assert b64decode(public.hint).hex() == public.fingerprint


FORMS = {
    "PKCS #8": ("P-256", PrivateFormat.PKCS8, None),
    "PKCS #8, encrypted": ("P-256", PrivateFormat.PKCS8, b"pw"),
    "EC": ("P-256", PrivateFormat.TraditionalOpenSSL, None),
    "PKCS #1": ("RSA", PrivateFormat.TraditionalOpenSSL, None),
    "PKCS #1, encrypted": ("RSA", PrivateFormat.TraditionalOpenSSL, b"pw"),
    "Ed25519": ("Ed25519", PrivateFormat.PKCS8, None),
}


@pytest.mark.parametrize(("kind", "form", "password"), FORMS.values(), ids=FORMS)
def test_private_keys_are_read_in_every_form(
    kind: str, form: PrivateFormat, password: bytes | None
) -> None:
    key = parse_private_key(pem(kind, form, password), "key", password)
    assert key.public.verifies(key.sign(b"x"), b"x")


def test_a_password_that_is_not_needed_does_no_harm() -> None:
    assert parse_private_key(pem("P-256"), "key", b"pw").public.pem


@pytest.mark.parametrize("password", [b"pw", b"", "pässword".encode()])
def test_a_sealed_key_opens_with_its_password_alone(password: bytes) -> None:
    key = make_private_key("new")
    sealed = seal_private_key(key, password, RANDOM)
    opened = parse_private_key(sealed, "new.key", password)
    assert opened.public == key.public
    for wrong in (password + b"x", b"other"):
        with pytest.raises(ValueError, match=r"^new\.key could not be opened: its password is"):
            parse_private_key(sealed, "new.key", wrong)
    with pytest.raises(MissingPassword, match="is encrypted, and no password was given"):
        parse_private_key(sealed, "new.key", None)


def _altered(**changes: object) -> bytes:
    """A sealed key whose parameters were changed."""
    lines = seal_box(b"key", b"pw", RANDOM).splitlines()
    document = json.loads(b64decode(b"".join(lines[1:-1])))
    for path, value in changes.items():
        *folders, name = path.split("__")
        inner = document
        for each in folders:
            inner = inner[each]
        inner[name] = value
    return b"\n".join((lines[0], b64encode(json.dumps(document).encode()), lines[-1]))


BOXES = {
    "a cost that takes all memory": {"kdf__params__N": 1 << 30},
    "a cost of nothing": {"kdf__params__N": 2},
    "a cost that is no number": {"kdf__params__N": "65536"},
    "a cost that is a list": {"kdf__params__N": []},
    "another block size": {"kdf__params__r": 1 << 20},
    "another derivation": {"kdf__name": "argon2"},
    "another cipher": {"cipher__name": "rot13"},
    "a short nonce": {"cipher__nonce": "QUJD"},
    "no parameters": {"kdf__params": None},
    "no cipher": {"cipher": 5},
    "other content": {"ciphertext": "QUJD"},
}


@pytest.mark.parametrize("changes", BOXES.values(), ids=BOXES)
def test_a_damaged_or_greedy_box_is_refused(changes: dict[str, object]) -> None:
    assert open_box(_altered(), b"pw") == b"key"
    with pytest.raises(ValueError, match=r"it is|its password"):
        open_box(_altered(**changes), b"pw")


def _public(raw: object) -> bytes:
    return raw.public_key().public_bytes(Encoding.PEM, SPKI)  # type: ignore[attr-defined, no-any-return]  # any key has one


NO_PUBLIC = {
    "nothing": (b"", "holds no public key"),
    "rubbish": (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no public key"),
    "a private key": (pem("P-256"), "holds a private key; name the public one"),
    "a certificate's header": (b"-----BEGIN CERTIFICATE-----", "holds no public key"),
    "too large": (b" " * 100_000, "is too large for a key"),
    "DSA": (_public(dsa.generate_private_key(1024)), "of a kind that signs no images"),
    "X25519": (_public(X25519PrivateKey.generate()), "of a kind that signs no images"),
    "a weak RSA key": (_public(rsa.generate_private_key(65537, 1024)), "of 1024 bits"),
    "an odd curve": (_public(ec.generate_private_key(ec.SECP256K1())), "on the curve secp256k1"),
}


@pytest.mark.parametrize(("data", "why"), NO_PUBLIC.values(), ids=NO_PUBLIC)
def test_what_is_no_public_key_for_images_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^a.pub .*{why}"):
        parse_public_key(data, "a.pub")


X25519_PEM = X25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
NO_PRIVATE = {
    "nothing": (b"", "could not be read: it holds no private key"),
    "rubbish": (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no private key"),
    "X25519": (X25519_PEM, "of a kind that signs no images"),
    "encrypted otherwise": (pem("RSA", password=b"other"), "password is another one"),
    "a box that is damaged": (_altered(kdf=5), "could not be opened: it is damaged"),
    "a box of something else": (_altered(), "holds no private key that can be read"),
    "too large": (b" " * 100_000, "is too large for a key"),
}


@pytest.mark.parametrize(("data", "why"), NO_PRIVATE.values(), ids=NO_PRIVATE)
def test_what_is_no_private_key_for_images_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^a.key .*{why}"):
        parse_private_key(data, "a.key", b"pw")


def test_a_public_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="holds a public key; to sign, name the private one"):
        parse_private_key(make_private_key("x").public.pem, "a.pub", None)


def test_no_repr_shows_a_key() -> None:
    key = make_private_key("named")
    shown = repr(key) + repr(key.public) + str(key)
    assert "named" in shown
    assert "object at" not in shown
    assert isinstance(key.public, PublicKey)
