"""Keys and configurations for tests of signatures in a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from squashproxy.digest import Digest
from squashproxy.signing.key_box import RANDOM_BYTES
from squashproxy.signing.private_key import PrivateKey, seal_private_key
from squashproxy.signing.simple_signing import make_payload
from squashproxy.testing import FakeRegistry
from tests.pipeline.signatures.signed import RIGHT, sign_by_tag
from tests.server.serving import UP, settings

PASSWORD = "correct horse battery staple"
RULE = {"match": "*", "require_signature": ["env:RIGHT"]}
ENVIRON = {"RIGHT": RIGHT.public.pem.decode()}
SHORT = "1s"
"""As `negative_ttl`: tests that wait for its end ask again until then."""


def requiring(
    upstream: FakeRegistry, folder: Path, rule: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """The configuration of a server that requires the signature of RIGHT."""
    return settings(upstream, folder, rules=[{**RULE, **(rule or {})}], **more)


def signing(
    upstream: FakeRegistry, folder: Path, form: str = "both", **more: Any
) -> dict[str, Any]:
    """The configuration of a server that signs with RIGHT, whose file is written."""
    return settings(upstream, folder, sign={"key": str(write_key(folder)), "format": form}, **more)


def write_key(folder: Path, key: PrivateKey = RIGHT) -> Path:
    """The file of a private key without a password, which takes no time to open."""
    path = folder / "sign.key"
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key._raw.private_bytes(*form))
    path.chmod(0o600)
    return path


def write_sealed_key(folder: Path) -> Path:
    """The file of RIGHT as cosign has it, with PASSWORD."""
    path = folder / "sealed.key"
    path.write_bytes(seal_private_key(RIGHT, PASSWORD.encode(), os.urandom(RANDOM_BYTES)))
    path.chmod(0o600)
    return path


def sign_tagged(registry: FakeRegistry, repo: str, digest: Digest, key: PrivateKey = RIGHT) -> None:
    """Sign an image under a tag, by the name that it has for the server."""
    sign_by_tag(registry, repo, digest, key, make_payload(digest, f"{UP}/{repo}"))
