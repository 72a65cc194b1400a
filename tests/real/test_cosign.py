"""cosign: it verifies what is signed here, and what it signs is accepted here; both forms.

It is built from source, which takes minutes, so that CI has vectors in its place
(tests/signing/test_vectors.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from tests.real.judges import CommandFailedError
from tests.real.programs import find_program
from tests.real.registries import RealRegistry
from tests.real.signing import (
    FORMS,
    cosign_sign,
    cosign_verify,
    key_pair,
    push_image,
    squashproxy,
)

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1800)]
KINDS = ("P-256", "P-384", "P-521", "Ed25519", "RSA")


@pytest.fixture(scope="module")
def cosign(programs: Path) -> Path:
    return find_program("cosign", programs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_cosign_verifies_what_was_signed_here(  # noqa: PLR0917 - fixtures, all by name
    cosign: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
    kind: str,
    form: str,
) -> None:
    key, other = key_pair(kind, tmp_path), key_pair("RSA" if kind != "RSA" else "P-256", tmp_path)
    name = f"to-cosign-{kind.lower()}-{form}:1"
    push_image(source_registry, name)
    target = f"{target_registry.host}/{name}"
    ends = (f"{source_registry.host}/{name}", target)
    squashproxy("copy", "--sign", key.private, "--sign-format", form, *ends, home=tmp_path)
    cosign_verify(cosign, key, form, target, tmp_path)
    with pytest.raises(CommandFailedError):
        cosign_verify(cosign, other, form, target, tmp_path)
    repo = name.partition(":")[0]
    push_image(target_registry, name, seed=9)
    with pytest.raises(CommandFailedError):
        cosign_verify(cosign, key, form, target, tmp_path)
    with RegistryClient(environ={}) as client:
        assert client.repository(Repository(target_registry.host, repo)).find_manifest("1")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_cosign_signs_is_accepted_here(  # noqa: PLR0917 - fixtures, all by name
    cosign: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
    kind: str,
    form: str,
) -> None:
    key, other = key_pair(kind, tmp_path), key_pair("RSA" if kind != "RSA" else "P-256", tmp_path)
    name = f"from-cosign-{kind.lower()}-{form}:1"
    push_image(source_registry, name)
    source = f"{source_registry.host}/{name}"
    ends = (source, f"{target_registry.host}/{name}")
    with pytest.raises(CommandFailedError, match="it has no signature"):
        squashproxy("copy", "--require-signature", key.public, *ends, home=tmp_path)
    cosign_sign(cosign, key, form, source, tmp_path)
    with pytest.raises(CommandFailedError, match="is of another key"):
        squashproxy("copy", "--require-signature", other.public, *ends, home=tmp_path)
    squashproxy("copy", "--require-signature", key.public, *ends, home=tmp_path)
    push_image(source_registry, name, seed=9)
    with pytest.raises(CommandFailedError, match="it has no signature"):
        squashproxy("copy", "--require-signature", key.public, *ends, home=tmp_path)
