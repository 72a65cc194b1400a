"""Every verb against registries of three makes, which no profile stands in for (issue 26)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.cli.main import run
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import ImageBuilder, LayerBuilder
from tests.real.makes import DISTRIBUTION_2, DISTRIBUTION_3, GO_CONTAINERREGISTRY, run_make
from tests.real.pushing import PushToRegistry
from tests.real.registries import RealRegistry
from tests.real.test_cleanup_real import configured, pull_whole
from tests.server.serving import run_serve, settings

pytestmark = pytest.mark.real

MAKES = [
    DISTRIBUTION_2,
    GO_CONTAINERREGISTRY,
    pytest.param(DISTRIBUTION_3, marks=pytest.mark.long),  # building it takes minutes
]
HIDDEN = 200_000


@pytest.fixture(scope="module", params=MAKES)
def registry(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, programs: Path
) -> Iterator[RealRegistry]:
    folder = tmp_path_factory.mktemp("registry")
    with run_make(request.param, folder, programs) as running:
        for path in ("copied", "promoted", "cleaned", "served"):
            for tag in ("v1", "v2"):
                image(tag).push(PushToRegistry(running), f"{path}/web", tag)
        yield running


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(environ={}) as client:
        yield client


def image(tag: str) -> ImageBuilder:
    """An image whose third layer hides a part of the second one."""
    middle = LayerBuilder().file("data", tag.encode() * 9000).file("hidden", bytes(HIDDEN))
    top = LayerBuilder().whiteout("hidden").file("etc/name", tag.encode())
    return ImageBuilder().layer(LayerBuilder().file("etc/base", b"base")).layer(middle).layer(top)


def tags(client: RegistryClient, registry: RealRegistry, path: str) -> list[str]:
    return sorted(client.repository(Repository(registry.host, path)).iter_tags())


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
def test_copy(registry: RealRegistry, client: RegistryClient, mode: str) -> None:
    source, target = f"{registry.host}/copied/web:v1", f"{registry.host}/{mode}/web:v1"
    assert run(["copy", "--mode", mode, source, target]) == 0
    assert run(["verify", source, target]) == 0
    pull_whole(client, Repository(registry.host, f"{mode}/web"), "v1")


def test_promote(registry: RealRegistry, client: RegistryClient, tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        f"promote:\n  - name: apps\n    from: '{registry.host}/promoted/*'\n"
        f"    to: '{registry.host}/prod/{{repo}}'\n",
    )
    for _ in range(2):
        assert run(["promote", config]) == 0
    assert tags(client, registry, "prod/web") == ["v1", "v2"]


@pytest.mark.parametrize("action", ["squash", "delete"])
def test_cleanup(
    registry: RealRegistry, client: RegistryClient, tmp_path: Path, action: str
) -> None:
    config = configured(
        tmp_path,
        f"cleanup:\n  - name: old\n    repositories: ['{registry.host}/cleaned/*']\n"
        f"    keep: {{tags: [v2]}}\n    action: {action}\n",
    )
    for _ in range(2):
        assert run(["cleanup", "--apply", config]) == 0
    left = ["v2"] if action == "delete" else ["v1", "v2"]
    assert tags(client, registry, "cleaned/web") == left
    for tag in left:
        pull_whole(client, Repository(registry.host, "cleaned/web"), tag)


def test_serve(registry: RealRegistry, tmp_path: Path) -> None:
    with run_serve(settings(f"http://{registry.host}", tmp_path)) as served:
        answer = served.manifest("served/web", "v1")
        assert answer.status_code == 200
        assert len(answer.json()["layers"]) == 2
        for layer in answer.json()["layers"]:
            assert served.blob("served/web", layer["digest"]).status_code == 200
