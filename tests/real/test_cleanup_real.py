"""Cleaning up Debian's docker-registry: 300 tags in 40 repositories, then its own collector."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cli.main import run
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import parse_descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.progress import SilentObserver
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import ImageBuilder, LayerBuilder, index_of
from squashproxy.testing.images import BuiltImage
from squashproxy.transports.registry import RegistrySource
from squashproxy.verify.verification import verify_images
from tests.real.registries import RealRegistry, run_registry

pytestmark = pytest.mark.real

REPOSITORIES = 40
TAGS = 300
NEWEST = 3


@dataclass(frozen=True, slots=True)
class Put:
    """Puts images into a real registry."""

    client: RegistryClient
    host: str
    there: dict[tuple[str, bytes], Digest] = field(default_factory=dict)

    def put_blob(self, repo: str, data: bytes) -> Digest:
        if (repo, data) not in self.there:
            remote = self.client.repository(Repository(self.host, repo))
            self.there[repo, data] = remote.upload_blob([data])[0]
        return self.there[repo, data]

    def put_manifest(self, repo: str, tag: str | None, data: bytes, media_type: str) -> Digest:
        raw = RawManifest(data, media_type)
        self.client.repository(Repository(self.host, repo)).put_manifest(raw, tag or raw.digest)
        return raw.digest


def picture(repo: int, number: int, arch: str = "") -> BuiltImage:
    """An image on a base that all share, with layers that hide a part of each other."""
    noise = random.Random(f"{repo}-{number}-{arch}").randbytes
    builder = ImageBuilder(fields={"created": f"2026-{1 + number % 12:02}-01T00:00:00Z"})
    builder.layer(LayerBuilder().file("base", random.Random(1).randbytes(20_000)))
    builder.layer(LayerBuilder().file("app", noise(20_000)).file("junk", noise(20_000)))
    builder.layer(LayerBuilder().whiteout("junk").file("new", noise(1_000)))
    return builder.build()


def fill(put: Put) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(partial(fill_repository, put), range(REPOSITORIES)):
            pass


def fill_repository(put: Put, repository: int) -> None:
    for at, number in enumerate(range(repository, TAGS, REPOSITORIES)):
        repo = f"apps/r{repository:02}"
        if number % 10 == 0:
            built = index_of([picture(number, at), picture(number, at, "arm64")])
            built.push(put, repo, f"v{at}")
        else:
            picture(number, at).push(put, repo, f"v{at}")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RealRegistry]:
    with run_registry(tmp_path / "registry") as started:
        yield started


def size_of(storage: Path) -> int:
    return sum(path.stat().st_size for path in storage.rglob("data") if path.is_file())


def collect(registry: RealRegistry) -> None:
    """Run the registry's own collector, which deletes all that no tag or index leads to."""
    config = registry.storage.parent / "config.yml"
    command = ["docker-registry", "garbage-collect", str(config)]
    subprocess.run(command, check=True, capture_output=True)


def configured(tmp_path: Path, text: str) -> str:
    path = tmp_path / "sp.yml"
    path.write_text(f"state: state\n{text}")
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run(arguments)
    streams = capsys.readouterr()
    assert "Traceback" not in streams.err
    return code, json.loads(streams.out)


def pull_whole(client: RegistryClient, repository: Repository, selector: str) -> None:
    """Read a manifest and every blob below it; digests are checked on the way."""
    remote = client.repository(repository)
    document = json.loads(remote.get_manifest(selector).data)
    for child in document.get("manifests", []):
        pull_whole(client, repository, child["digest"])
    for entry in [*document.get("layers", []), *filter(None, [document.get("config")])]:
        for _ in remote.iter_blob(parse_descriptor(entry, "a blob")):
            pass


@pytest.mark.long  # verbs and races of a cleanup meet real registries in every run, with fewer tags
def test_300_tags_are_planned_cleaned_and_collected(
    registry: RealRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RegistryClient(environ={}) as client:
        fill(Put(client, registry.host))
        config = configured(
            tmp_path,
            f"cleanup:\n  - name: old\n    repositories: ['{registry.host}/apps/*']\n"
            f"    keep: {{newest: {NEWEST}}}\n    action: delete\n",
        )
        plan_file = str(tmp_path / "plan.json")
        code, plan = told(capsys, "cleanup", "--json", "--plan", plan_file, config)
        assert code == 0
        repositories = plan["rules"][0]["repositories"]
        assert len(repositories) == REPOSITORIES
        assert sum(len(each["tags"]) for each in repositories) == TAGS
        before = size_of(registry.storage)
        code, result = told(capsys, "cleanup", "--json", "--plan", plan_file, "--apply", config)
        assert code == 0
        assert {step["outcome"] for each in result["repositories"] for step in each["steps"]} == {
            "deleted"
        }
        collect(registry)
        after = size_of(registry.storage)
        freed = sum(each["freed_bytes"] for each in result["repositories"])
        assert before - after >= freed * 0.95
        print(f"on disk before {before}, after {after}, promised {freed}")  # noqa: T201
        for each in repositories:
            name = each["repository"].partition("/")[2]
            repository = Repository(registry.host, name)
            there = set(client.repository(repository).iter_tags())
            assert there == {kept["tag"] for kept in each["kept"]}
            assert len(there) == NEWEST
            for tag in there:
                pull_whole(client, repository, tag)


def test_ten_images_are_squashed_in_place_and_hold_the_same_trees(
    registry: RealRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(registry.host, "apps/one")
    with RegistryClient(environ={}) as client:
        put = Put(client, registry.host)
        before = {f"v{n}": picture(1, n).push(put, "apps/one", f"v{n}") for n in range(10)}
        config = configured(
            tmp_path,
            f"cleanup:\n  - name: small\n    repositories: ['{repository}']\n    action: squash\n"
            "    untagged: {older_than: 0s}\n",
        )
        code, result = told(capsys, "cleanup", "--json", "--apply", config)
        assert code == 0
        assert [step["outcome"] for step in result["repositories"][0]["steps"]] == ["squashed"] * 10
        remote = client.repository(repository)
        for tag, old in before.items():
            found = remote.find_manifest(tag)
            assert found is not None
            assert found.digest != old
            verification = verify_images(
                RegistrySource(client, Reference(repository, None, old)),
                RegistrySource(client, Reference(repository, tag)),
                observer=SilentObserver(),
                clock=time.monotonic,
            )
            assert verification.identical
        weight = size_of(registry.storage)
        code, result = told(capsys, "cleanup", "--json", "--apply", config)
        assert (code, len(result["repositories"][0]["steps"])) == (0, 10)
        collect(registry)
        assert size_of(registry.storage) < weight - 10 * 20_000
        for tag in before:
            pull_whole(client, repository, tag)
