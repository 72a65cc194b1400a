"""Keys, images and registries for tests in which other programs sign and check."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.signing.key_box import RANDOM_BYTES
from squashproxy.signing.private_key import parse_private_key, seal_private_key
from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.pipeline.images import noise
from tests.real.judges import run
from tests.real.registries import RealRegistry
from tests.real.test_cleanup_real import Put
from tests.signing.keys import pem

PASSWORD = "of keys in tests"
FORMS: dict[str, tuple[str, ...]] = {"bundle": (), "tag": ("--new-bundle-format=false",)}
"""The two forms of signatures, with the options of cosign for them."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files of a key, whose password is PASSWORD."""

    private: Path
    public: Path


def key_pair(kind: str, folder: Path) -> KeyPair:
    """A new key, sealed as cosign does."""
    key = parse_private_key(pem(kind), kind, None)
    pair = KeyPair(folder / f"{kind}.key", folder / f"{kind}.pub")
    pair.private.write_bytes(
        seal_private_key(key, PASSWORD.encode(), secrets.token_bytes(RANDOM_BYTES))
    )
    pair.private.chmod(0o600)
    pair.public.write_bytes(key.public.pem)
    return pair


def push_image(registry: RealRegistry, name: str, seed: int = 1) -> None:
    """Push an image of which a squash makes another one, as REPO:TAG."""
    repo, _, tag = name.partition(":")
    image = (
        ImageBuilder()
        .layer(LayerBuilder().file("base", noise(2_000, seed)))
        .layer(LayerBuilder().file("cache", noise(2_000, 2)))
        .layer(LayerBuilder().whiteout("cache").file("app", noise(2_000, seed + 3)))
    )
    with RegistryClient(environ={}) as client:
        client.repository(Repository(registry.host, repo))
        image.build().push(Put(client, registry.host), repo, tag)


def squashproxy(*words: str | Path, home: Path) -> str:
    """What `squashproxy WORDS` prints. Raises CommandFailedError."""
    env = {"HOME": str(home), "COSIGN_PASSWORD": PASSWORD}
    return run([sys.executable, "-m", "squashproxy", *words], os.environ | env)


def cosign_verify(cosign: Path, key: KeyPair, form: str, image: str, home: Path) -> None:
    """Let cosign check an image. Raises CommandFailedError where it refuses."""
    env = {"HOME": str(home), "TUF_ROOT": str(home / "tuf")}
    run([cosign, "verify", "--key", key.public, "--insecure-ignore-tlog", *FORMS[form], image], env)


def cosign_sign(cosign: Path, key: KeyPair, form: str, image: str, home: Path) -> None:
    """Let cosign sign an image, without any service."""
    env = {"HOME": str(home), "TUF_ROOT": str(home / "tuf"), "COSIGN_PASSWORD": PASSWORD}
    offline = ("--yes", "--use-signing-config=false", "--tlog-upload=false")
    run([cosign, "sign", *offline, "--key", key.private, *FORMS[form], image], env)


def ask_policy(  # noqa: PLR0917 - as its callers have them
    policy: Path,
    host: str,
    name: str,
    key: KeyPair,
    folder: Path,
    identity: Mapping[str, str] | None = None,
) -> None:
    """Ask whether an image may run where a signature of this key for this repository is wanted; or
    for another `identity` (containers-policy.json, signedIdentity).
    """
    signed = {
        "type": "sigstoreSigned",
        "keyPath": str(key.public),
        "signedIdentity": identity or {"type": "matchRepository"},
    }
    rules = {"default": [{"type": "reject"}], "transports": {"docker": {host: [signed]}}}
    (folder / "policy.json").write_text(json.dumps(rules))
    attached = folder / "registries.d"
    attached.mkdir(exist_ok=True)
    attachments = {"docker": {host: {"use-sigstore-attachments": True}}}
    (attached / "here.yaml").write_text(json.dumps(attachments))
    run([policy, folder / "policy.json", attached, f"{host}/{name}"])
