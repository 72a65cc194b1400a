"""Policies of podman and CRI-O (containers-policy.json, `sigstoreSigned`), by their own library.

Debian builds its podman and skopeo without sigstore, so `policy/` asks the library they have in
common.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.judges import CommandFailedError
from tests.real.programs import find_program
from tests.real.registries import RealRegistry
from tests.real.signing import ask_policy, key_pair, push_image, squashproxy

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def policy(programs: Path) -> Path:
    return find_program("policy", programs)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "Ed25519", "RSA"])
def test_a_policy_lets_signed_results_pass_and_no_others(
    policy: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
    kind: str,
) -> None:
    key, other = key_pair(kind, tmp_path), key_pair("RSA" if kind != "RSA" else "P-256", tmp_path)
    name = f"policy-{kind.lower()}:1"
    push_image(source_registry, name)
    ends = (f"{source_registry.host}/{name}", f"{target_registry.host}/{name}")
    squashproxy("copy", *ends, home=tmp_path)
    with pytest.raises(CommandFailedError, match="no signature exists"):
        ask_policy(policy, target_registry.host, name, key, tmp_path)
    squashproxy("copy", "--sign", key.private, "--sign-format", "tag", *ends, home=tmp_path)
    ask_policy(policy, target_registry.host, name, key, tmp_path)
    with pytest.raises(CommandFailedError, match=r"[Ss]ignature|cryptographic"):
        ask_policy(policy, target_registry.host, name, other, tmp_path)
