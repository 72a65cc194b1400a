"""Keys, images and registries for tests in which other programs sign and check."""

from __future__ import annotations

import os
import secrets
import sys
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
