"""Promotion and cleanup on a registry that lists referrers and is not distribution."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cli.main import run
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import artifact_manifest, index_of
from tests.real.programs import find_program
from tests.real.registries import RealRegistry, run_referrers
from tests.real.test_cleanup_real import Put, configured, picture, pull_whole, told

pytestmark = pytest.mark.real

SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


@pytest.fixture(scope="module")
def program(programs: Path) -> Path:
    return find_program("referrers", programs)


@pytest.fixture
def registry(program: Path, tmp_path: Path) -> Iterator[RealRegistry]:
    with run_referrers(tmp_path / "registry", program) as started:
        yield started


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(environ={}) as client:
        yield client


def sign(remote: RemoteRepository, digest: Digest) -> Digest:
    """Put a referrer of a manifest; return its digest."""
    subject = remote.find_manifest(digest)
    assert subject is not None
    empty, _ = remote.upload_blob([b"{}"])
    config = Descriptor("application/vnd.oci.empty.v1+json", empty, 2)
    raw = artifact_manifest(SIGNATURE, [config], config=config, subject=subject)
    remote.put_referrer(raw)
    return raw.digest


def listed(remote: RemoteRepository, digest: Digest) -> set[Digest]:
    found = remote.list_referrers(digest)
    assert found is not None, "this registry has the referrers API"
    return {each.digest for each in found}


def list_tag(subject: Digest) -> str:
    """Where a list of referrers is kept, too: this registry sends no OCI-Subject, which asks for it
    (distribution specification, Pushing Manifests with Subject).
    """
    return subject.replace(":", "-")


def test_what_refers_to_a_kept_image_stays_and_the_rest_goes_with_its_image(
    registry: RealRegistry,
    client: RegistryClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put = Put(client, registry.host)
    remote = client.repository(Repository(registry.host, "apps/web"))
    images = {f"v{n}": picture(1, n).push(put, "apps/web", f"v{n}") for n in range(6)}
    index = index_of([picture(2, 6), picture(2, 6, "arm64")])
    images["v6"] = index.push(put, "apps/web", "v6")
    signatures = {tag: sign(remote, digest) for tag, digest in images.items()}
    child = sign(remote, index.images[0].manifest.digest)
    config = configured(
        tmp_path,
        f"cleanup:\n  - name: old\n    repositories: ['{registry.host}/apps/*']\n"
        "    keep: {newest: 2}\n    action: delete\n",
    )
    code, result = told(capsys, "cleanup", "--json", "--apply", config)
    assert code == 0
    assert result["repositories"][0]["problem"] is None
    subjects = [images["v5"], images["v6"], index.images[0].manifest.digest]
    assert set(remote.iter_tags()) == {"v5", "v6", *map(list_tag, subjects)}
    for tag in ("v5", "v6"):
        pull_whole(client, remote.name, tag)
        assert listed(remote, images[tag]) == {signatures[tag]}
        pull_whole(client, remote.name, signatures[tag])
    assert listed(remote, index.images[0].manifest.digest) == {child}
    for tag in ("v0", "v1", "v2", "v3", "v4"):
        assert remote.find_manifest(images[tag]) is None
        assert remote.find_manifest(signatures[tag]) is None


@pytest.mark.parametrize(
    ("policy", "code", "outcome", "tags"),
    [
        ("refuse", 1, "refused", set()),
        ("warn", 0, "copied", {"v0"}),
        ("copy", 0, "copied", {"v0", "v0-original"}),
    ],
)
def test_a_signature_on_the_source_is_noticed(  # noqa: PLR0917 - fixtures, all by name
    policy: str,
    code: int,
    outcome: str,
    tags: set[str],
    registry: RealRegistry,
    client: RegistryClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digest = picture(1, 0).push(Put(client, registry.host), "apps/web", "v0")
    signature = sign(client.repository(Repository(registry.host, "apps/web")), digest)
    config = configured(
        tmp_path,
        f"promote:\n  - name: apps\n    from: {registry.host}/apps/*\n"
        f"    to: {registry.host}/prod/{{repo}}\n    signed: {policy}\n    provenance: true\n",
    )
    ended, result = told(capsys, "promote", "--json", config)
    assert ended == code
    assert [image["outcome"] for image in result["images"]] == [outcome]
    target = client.repository(Repository(registry.host, "prod/web"))
    assert existing_tags(target) == tags
    if tags:
        squashed = target.find_manifest("v0")
        assert squashed is not None
        [statement] = listed(target, squashed.digest)
        assert in_toto(target, statement)["_type"] == "https://in-toto.io/Statement/v1"
    if policy == "copy":
        assert listed(target, digest) == {signature}
        pull_whole(client, target.name, "v0-original")


def existing_tags(remote: RemoteRepository) -> set[str]:
    """The tags that are no list of referrers."""
    if remote.find_manifest("v0") is None:
        return set()
    return {tag for tag in remote.iter_tags() if not tag.startswith("sha256-")}


def in_toto(remote: RemoteRepository, digest: Digest) -> dict[str, Any]:
    document = json.loads(remote.get_manifest(digest).data)
    [layer] = document["layers"]
    blob = Descriptor(layer["mediaType"], Digest(layer["digest"]), layer["size"])
    statement: dict[str, Any] = json.loads(b"".join(remote.iter_blob(blob)))
    return statement


def test_a_copy_of_a_copy_is_up_to_date(
    registry: RealRegistry, client: RegistryClient, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(1, 0).push(Put(client, registry.host), "app", "v0")
    names = (f"{registry.host}/app:v0", f"{registry.host}/new:v0")
    assert run(("copy", "--json", *names)) == 0
    capsys.readouterr()
    assert told(capsys, "copy", "--json", *names)[1]["skipped"]
    assert run(("verify", "-q", *names)) == 0
