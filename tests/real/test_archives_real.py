"""Archives of real programs in, archives for real programs out, and the ancestor's pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.model.node import compare_trees
from tests.pipeline.images import LAYERS
from tests.real.archivers import (
    DOCKER_READERS,
    DOCKER_WRITERS,
    NAME,
    READERS,
    SKOPEO,
    WRITERS,
    Desk,
)
from tests.real.docker_daemon import run_docker, why_no_docker
from tests.real.judges import Judges, push_layout, run
from tests.real.layout import LayoutWriter
from tests.real.programs import find_program
from tests.real.registries import RealRegistry
from tests.real.scan import scan_tree
from tests.transports.copying import TREE

pytestmark = pytest.mark.real
HAS_DOCKER = why_no_docker() is None
ALL_WRITERS = {**WRITERS, **(DOCKER_WRITERS if HAS_DOCKER else {})}
ALL_READERS = {**READERS, **(DOCKER_READERS if HAS_DOCKER else {})}


def named(programs: Iterable[str]) -> list[object]:
    """The programs for every run, and crane, which takes a minute to build, for `--long`."""
    return [
        pytest.param(name, marks=pytest.mark.long) if name.startswith("crane") else name
        for name in programs
    ]


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if not HAS_DOCKER:
        yield {}
        return
    with run_docker(tmp_path_factory.mktemp("docker")) as environment:
        yield environment


@pytest.fixture(scope="module")
def desk(
    source_registry: RealRegistry,
    tmp_path_factory: pytest.TempPathFactory,
    docker: dict[str, str],
    programs: Path,
) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    layout = LayoutWriter(folder / "layout")
    layout.add_image("app", [layout.add_layer(layer.tar()) for layer in LAYERS])
    push_layout(layout.folder, "app", source_registry, NAME)
    archive = folder / "app.tar"
    run([*SKOPEO, f"oci:{layout.folder}:app", f"docker-archive:{archive}:{NAME}"])
    storage = folder / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder / "storage"}"\n'
        f'runroot = "{folder / "run"}"\n'
    )
    policy = folder / "home" / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    env = {
        **docker,
        "CONTAINERS_STORAGE_CONF": str(storage),
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
    }
    return Desk(source_registry, folder, archive, lambda: find_program("crane", programs), env)


def squash(desk: Desk, *words: str) -> None:
    desk.run(sys.executable, "-m", "squashproxy", "copy", "--quiet", *words)


@pytest.mark.parametrize("name", named(ALL_WRITERS))
def test_what_others_write_is_read(
    name: str, desk: Desk, judges: Judges, target_registry: RealRegistry, tmp_path: Path
) -> None:
    location = ALL_WRITERS[name](desk, tmp_path / "image")
    repository = "from-" + "-".join(name.replace(",", "").lower().split())
    squash(desk, "--base", "2", location, f"{target_registry.host}/{repository}:1")
    found = judges.umoci_tree(target_registry, f"{repository}:1")
    assert compare_trees(TREE, found, ignore_times_of_the_root) == []


@pytest.mark.parametrize("name", named(ALL_READERS))
@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_what_is_written_others_read(name: str, packing: str, desk: Desk, tmp_path: Path) -> None:
    transport, reader = ALL_READERS[name]
    sources = {
        "gzip": f"{desk.registry.host}/{NAME}",
        "plain": f"docker-archive:{desk.archive}",
    }
    path = tmp_path / "squashed.tar"
    tag = "app:squashed" if transport == "docker-archive" else "squashed"
    squash(desk, "--base", "2", sources[packing], f"{transport}:{path}:{tag}")
    layers = reader(replace(desk, folder=tmp_path), path)
    assert len(layers) == 3
    if (tmp_path / "rootfs").exists():
        assert compare_trees(TREE, scan_tree(tmp_path / "rootfs"), ignore_times_of_the_root) == []


def ignore_times_of_the_root(path: bytes, field: str) -> bool:
    """No layer describes the root, so every unpacker gives it a time of its own."""
    return not path and field in ("mtime", "mode")


class TestTheAncestorsPipe:
    pytestmark = pytest.mark.skipif(not HAS_DOCKER, reason=f"no docker daemon: {why_no_docker()}")

    def test_docker_save_into_squashproxy_into_docker_load(self, desk: Desk) -> None:
        squashed = "copy --base 1 docker-archive:- docker-archive:-:app:squashed"
        done = pipe(desk, f"docker save {NAME}", squashed, "docker load")
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("Loaded image: app:squashed\n")
        assert "layers" in done.stderr
        before, after = (size_of(desk, name) for name in (NAME, "app:squashed"))
        assert after < before - 50_000

    def test_a_reader_that_gives_up_is_a_sentence(self, desk: Desk) -> None:
        copied = "copy docker-archive:- docker-archive:-"
        done = pipe(desk, f"docker save {NAME}", copied, "head -c 1000 >/dev/null")
        assert done.returncode == 1
        assert "standard output was closed by its reader" in done.stderr
        assert "Traceback" not in done.stderr


def pipe(desk: Desk, before: str, squashproxy: str, after: str) -> subprocess.CompletedProcess[str]:
    desk.run("docker", "load", "--quiet", "--input", desk.archive)
    script = f"{before} | {sys.executable} -m squashproxy {squashproxy} | {after}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env=os.environ | dict(desk.env),
        capture_output=True,
        text=True,
        check=False,
    )


def size_of(desk: Desk, image: str) -> int:
    return int(desk.json("docker", "image", "inspect", image)[0]["Size"])
