"""Signatures through a running server: cosign, and the policies of podman and CRI-O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.real.judges import CommandFailedError, run
from tests.real.programs import find_program
from tests.real.pushing import PushToRegistry
from tests.real.registries import RealRegistry
from tests.real.serving import RealServer, run_server
from tests.real.signing import (
    FORMS,
    PASSWORD,
    KeyPair,
    ask_policy,
    cosign_sign,
    cosign_verify,
    key_pair,
    push_image,
)
from tests.server.serving import both_platforms

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1800)]
KINDS = ("P-256", "Ed25519", "RSA")
STORES = ("directory", "registry")
UP = "up.example"


def _configuration(upstream: RealRegistry, store: Mapping[str, str], **more: Any) -> dict[str, Any]:
    return {
        "serve": {
            "listen": "127.0.0.1:0",
            "upstreams": {UP: {"url": f"http://{upstream.host}"}},
            "store": dict(store),
            "drain": "1s",
            **more,
        }
    }


def _signing(key: KeyPair) -> dict[str, Any]:
    return {"key": str(key.private), "password": PASSWORD, "format": "both"}


def _store(kind: str, registry: RealRegistry, folder: Path) -> dict[str, str]:
    if kind == "directory":
        return {"directory": str(folder / "store")}
    return {"registry": f"{registry.host}/cache-{folder.name}".lower()}


def _pull(server: RealServer, name: str) -> requests.Response:
    repo, _, tag = name.partition(":")
    return requests.get(f"http://{server.host}/v2/{UP}/{repo}/manifests/{tag}", timeout=60)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", KINDS)
def test_cosign_accepts_what_the_server_signed_and_no_other_key(  # noqa: PLR0917 - fixtures
    programs: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
    kind: str,
    store: str,
) -> None:
    cosign = find_program("cosign", programs)
    key, other = key_pair(kind, tmp_path), key_pair("RSA" if kind != "RSA" else "P-256", tmp_path)
    name = f"serve-{kind.lower()}-{store}:1"
    push_image(source_registry, name)
    place = _store(store, target_registry, tmp_path)
    with run_server(tmp_path / "unsigned", _configuration(source_registry, place)) as server:
        assert _pull(server, name).headers["X-Squashproxy-Source"] == "squashed"
        for form in FORMS:
            with pytest.raises(CommandFailedError, match=r"no signatures|no matching"):
                cosign_verify(cosign, key, form, f"{server.host}/{UP}/{name}", tmp_path)
    signed = _configuration(source_registry, place, sign=_signing(key))
    with run_server(tmp_path / "signed", signed) as server:
        for form in FORMS:
            cosign_verify(cosign, key, form, f"{server.host}/{UP}/{name}", tmp_path)
            with pytest.raises(CommandFailedError):
                cosign_verify(cosign, other, form, f"{server.host}/{UP}/{name}", tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_the_server_accepts_what_cosign_signed_and_nothing_else(
    programs: Path, source_registry: RealRegistry, tmp_path: Path, form: str
) -> None:
    cosign = find_program("cosign", programs)
    key, other = key_pair("P-256", tmp_path), key_pair("RSA", tmp_path)
    signed, unsigned, foreign = (f"from-{form}-{what}:1" for what in ("right", "none", "other"))
    for seed, name in enumerate((signed, unsigned, foreign)):
        push_image(source_registry, name, seed + 20)
    cosign_sign(cosign, key, form, f"{source_registry.host}/{signed}", tmp_path)
    cosign_sign(cosign, other, form, f"{source_registry.host}/{foreign}", tmp_path)
    rule = {
        "match": "*",
        "require_signature": [str(key.public)],
        "signed_as": [f"{source_registry.host}/{signed.partition(':')[0]}"],
    }
    place = _store("directory", source_registry, tmp_path)
    configuration = _configuration(source_registry, place, rules=[rule])
    with run_server(tmp_path / "server", configuration) as server:
        answer = _pull(server, signed)
        assert answer.headers["X-Squashproxy-Source"] == "squashed"
        for name, why in ((unsigned, "it has no signature"), (foreign, "is of another key")):
            refused = _pull(server, name)
            assert refused.status_code == 403
            [error] = refused.json()["errors"]
            assert error["code"] == "DENIED"
            assert why in error["message"]


@pytest.mark.parametrize("store", STORES)
def test_a_policy_lets_signed_images_of_a_server_pass_and_no_others(
    programs: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
    store: str,
) -> None:
    policy = find_program("policy", programs)
    key, other = key_pair("P-256", tmp_path), key_pair("RSA", tmp_path)
    name = f"serve-policy-{store}:1"
    push_image(source_registry, name)
    place = _store(store, target_registry, tmp_path)
    repo = f"{UP}/{name.partition(':')[0]}"
    identity = {"type": "exactRepository", "dockerRepository": repo}
    with (
        run_server(tmp_path / "unsigned", _configuration(source_registry, place)) as server,
        pytest.raises(CommandFailedError, match="no signature exists"),
    ):
        ask_policy(policy, server.host, f"{UP}/{name}", key, tmp_path, identity)
    signed = _configuration(source_registry, place, sign=_signing(key))
    with run_server(tmp_path / "signed", signed) as server:
        ask_policy(policy, server.host, f"{UP}/{name}", key, tmp_path, identity)
        with pytest.raises(CommandFailedError, match=r"[Ss]ignature|cryptographic"):
            ask_policy(policy, server.host, f"{UP}/{name}", other, tmp_path, identity)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("squashes", [True, False], ids=["squashed", "as they are"])
def test_clients_pull_all_of_a_signed_index_and_nothing_of_another(
    programs: Path,
    source_registry: RealRegistry,
    target_registry: RealRegistry,
    tmp_path: Path,
    store: str,
    *,
    squashes: bool,
) -> None:
    """skopeo asks for everything below the index by its digest."""
    key = key_pair("P-256", tmp_path)
    signed, unsigned = (f"clients-{store}-{squashes}-{tag}".lower() for tag in ("one", "two"))
    for repo in (signed, unsigned):
        both_platforms().push(PushToRegistry(source_registry), repo, "1")
    image = f"{source_registry.host}/{signed}:1"
    cosign_sign(find_program("cosign", programs), key, "bundle", image, tmp_path)
    rule = {"match": "*", "squash": squashes, "require_signature": [str(key.public)]}
    place = _store(store, target_registry, tmp_path)
    skopeo = ("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false")
    configuration = _configuration(source_registry, place, rules=[rule])
    with run_server(tmp_path / "server", configuration) as server:
        run([*skopeo, f"docker://{server.host}/{UP}/{signed}:1", f"dir:{tmp_path / 'one'}"])
        index = json.loads((tmp_path / "one" / "manifest.json").read_bytes())
        assert len(index["manifests"]) == 2
        with pytest.raises(CommandFailedError, match="it has no signature"):
            run([*skopeo, f"docker://{server.host}/{UP}/{unsigned}:1", f"dir:{tmp_path / 'two'}"])
