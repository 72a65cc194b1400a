"""How results are signed."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.signing.private_key import PrivateKey
from squashproxy.signing.signature_format import SignatureFormat


@dataclass(frozen=True, slots=True)
class Signing:
    """The key to sign with, and the forms of its signatures."""

    key: PrivateKey
    formats: tuple[SignatureFormat, ...] = (SignatureFormat.BUNDLE,)
