"""Images without layers on the command line: every verb takes them, however they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.oci.mediatypes import Family
from squashproxy.testing import FakeRegistry
from tests.cli.command_line import InProcess
from tests.pipeline.images import BARE, without_layers
from tests.transports.tars import docker_20, docker_25, listed, tar_of

each_shape = pytest.mark.parametrize("shape", BARE)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.mark.parametrize("family", [Family.OCI, Family.DOCKER], ids=["oci", "docker"])
@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
@each_shape
def test_it_is_copied_and_stays_what_it_is(
    squashproxy: InProcess, registry: FakeRegistry, shape: str, mode: str, family: Family
) -> None:
    built = without_layers(shape, family)
    built.push(registry, "app", "1")
    names = (f"{registry.host}/app:1", f"{registry.host}/new:1")
    done = squashproxy("copy", "--mode", mode, "--json", *names)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["digest"] == built.digest
    assert squashproxy("verify", *names).code == 0
    assert squashproxy("copy", "--mode", mode, "--verify", *names).code == 0


@pytest.mark.parametrize("base", ["none", "0", "scratch", "auto"])
@each_shape
def test_it_is_planned_and_inspected(
    squashproxy: InProcess, registry: FakeRegistry, shape: str, base: str
) -> None:
    without_layers(shape).push(registry, "app", "1")
    name = f"{registry.host}/app:1"
    planned = squashproxy("plan", "--base", base, "--json", name)
    assert (planned.code, planned.err) == (0, "")
    (platform,) = json.loads(planned.out)["platforms"]
    assert (platform["layers_before"], platform["hidden_bytes"]) == (0, 0)
    assert squashproxy("plan", "--base", base, name).code == 0
    inspected = squashproxy("inspect", "--json", name)
    assert (inspected.code, inspected.err) == (0, "")
    assert squashproxy("inspect", name).code == 0


@pytest.mark.parametrize("target", ["oci:{}/layout:1", "oci-archive:{}/l.tar:1"])
@each_shape
def test_it_goes_into_layouts_and_comes_back(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, shape: str, target: str
) -> None:
    built = without_layers(shape)
    built.push(registry, "app", "1")
    place, name = target.format(tmp_path), f"{registry.host}/app:1"
    assert squashproxy("copy", name, place).code == 0
    assert squashproxy("copy", place, f"{registry.host}/back:1").code == 0
    assert registry.tags("back") == {"1": built.digest}


@each_shape
def test_it_goes_into_docker_archives_and_comes_back(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, shape: str
) -> None:
    without_layers(shape).push(registry, "app", "1")
    place, name = f"docker-archive:{tmp_path}/a.tar:app:1", f"{registry.host}/app:1"
    assert squashproxy("copy", name, place).code == 0
    assert squashproxy("copy", place, f"{registry.host}/back:1").code == 0
    assert squashproxy("verify", place, f"{registry.host}/back:1").code == 0


ARCHIVES = {
    "as docker 20 writes it": docker_20(without_layers("an empty rootfs"), "app:1"),
    "as docker 25 writes it": docker_25(without_layers("an empty rootfs"), "app:1"),
    "null as layers": docker_20(without_layers("an empty rootfs"), "app:1")
    | {
        "manifest.json": json.dumps(
            [
                {
                    **listed("c", [], "app:1"),
                    "Layers": None,
                }
            ]
        ).encode(),
        "c": next(iter(without_layers("an empty rootfs").blobs.values())),
    },
    "without a list of layers": {
        "manifest.json": b'[{"Config": "c", "RepoTags": ["app:1"]}]',
        "c": next(iter(without_layers("no rootfs").blobs.values())),
    },
}


@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
@pytest.mark.parametrize("mode", ["squash", "prune"])
def test_docker_archives_without_layers(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, archive: object, mode: str
) -> None:
    path = tmp_path / "app.tar"
    path.write_bytes(tar_of(archive))  # type: ignore[arg-type]  # the table mixes them
    name = f"docker-archive:{path}"
    done = squashproxy("copy", "--mode", mode, name, f"{registry.host}/app:1")
    assert (done.code, done.err) == (0, "")
    assert squashproxy("verify", name, f"{registry.host}/app:1").code == 0
