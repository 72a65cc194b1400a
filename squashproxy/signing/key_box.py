"""The encrypted box of a private key, as cosign writes it.

A PEM block `ENCRYPTED SIGSTORE PRIVATE KEY`, or `COSIGN` in older files, holds JSON: scrypt makes a
key of the password, and NaCl's secretbox encrypts the PKCS #8 key with that (go-securesystemslib,
encrypted).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from hashlib import scrypt
from typing import Any

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from squashproxy.signing.strict_json import decode_base64, encode_base64, parse_object

_BOX = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]*?)"
    rb"\s*-----END ENCRYPTED \1 PRIVATE KEY-----"
)
_COSTS = frozenset({1 << 15, 1 << 16, 1 << 17})
"""scrypt's N; others are refused, since a key file could demand any amount of memory and time."""

_COST = 1 << 16
_BLOCK, _PARALLEL = 8, 1
_SALT = 32
RANDOM_BYTES = _SALT + SecretBox.NONCE_SIZE
"""Bytes for the salt and the nonce of a new box."""

_LINE = 64


class WrongPassword(ValueError):
    """The password does not open the box."""


def is_box(data: bytes) -> bool:
    """Whether a file holds an encrypted key of this form."""
    return _BOX.search(data) is not None


def open_box(data: bytes, password: bytes) -> bytes:
    """The key in PKCS #8's DER. Raises WrongPassword, and ValueError for what is damaged."""
    match = _BOX.search(data)
    if match is None:
        raise ValueError("it holds no encrypted key")
    try:
        document = parse_object(base64.b64decode(b"".join(match[2].split()), validate=True))
        salt, cost = _derivation(document["kdf"])
        cipher = document["cipher"]
        if cipher["name"] != "nacl/secretbox":
            raise ValueError("it is encrypted in an unknown way")
        nonce = decode_base64(cipher["nonce"])
        sealed = decode_base64(document["ciphertext"])
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("it is damaged") from None
    if len(nonce) != SecretBox.NONCE_SIZE:
        raise ValueError("it is damaged")
    try:
        return SecretBox(_derive(password, salt, cost)).decrypt(sealed, nonce)
    except CryptoError:
        raise WrongPassword("its password is another one") from None


def seal_box(key: bytes, password: bytes, random: bytes) -> bytes:
    """A key in PKCS #8's DER as an encrypted PEM block, with RANDOM_BYTES that nobody knows."""
    salt, nonce = random[:_SALT], random[_SALT:]
    sealed = SecretBox(_derive(password, salt, _COST)).encrypt(key, nonce).ciphertext
    document = {
        "kdf": {
            "name": "scrypt",
            "params": {"N": _COST, "r": _BLOCK, "p": _PARALLEL},
            "salt": encode_base64(salt),
        },
        "cipher": {"name": "nacl/secretbox", "nonce": encode_base64(nonce)},
        "ciphertext": encode_base64(sealed),
    }
    text = encode_base64(json.dumps(document, separators=(",", ":")).encode())
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    name = "ENCRYPTED SIGSTORE PRIVATE KEY"
    return "\n".join((f"-----BEGIN {name}-----", *lines, f"-----END {name}-----", "")).encode()


def _derivation(kdf: Any) -> tuple[bytes, int]:
    params = kdf["params"]
    if kdf["name"] != "scrypt" or (params["r"], params["p"]) != (_BLOCK, _PARALLEL):
        raise ValueError("its password is protected in an unknown way")
    if params["N"] not in _COSTS:
        raise ValueError("its password is protected in an unknown way")
    return decode_base64(kdf["salt"]), params["N"]


def _derive(password: bytes, salt: bytes, cost: int) -> bytes:
    memory = 2 * 128 * cost * _BLOCK
    return scrypt(
        password, salt=salt, n=cost, r=_BLOCK, p=_PARALLEL, maxmem=memory, dklen=SecretBox.KEY_SIZE
    )
