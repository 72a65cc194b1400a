"""The programs that write images into archives, and those that read them, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real.judges import run
from tests.real.registries import RealRegistry

NAME = "app:1"
PODMAN = ("podman", "--storage-driver=vfs", "--cgroup-manager=cgroupfs")
BUILDAH = ("buildah", "--storage-driver=vfs")
SKOPEO = ("skopeo", "--insecure-policy", "copy", "--quiet")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the programs work with: an image `app:1` in a registry, and places of their own.

    `archive` is docker's archive of the same image, which most can load. `env` leads to their
    storage. `find_crane` builds crane, unless that is done.
    """

    registry: RealRegistry
    folder: Path
    archive: Path
    find_crane: Callable[[], Path]
    env: Mapping[str, str]

    def run(self, *command: str | Path) -> str:
        """What a program wrote. Raises CommandFailedError."""
        return run(command, dict(self.env))

    def json(self, *command: str | Path) -> Any:
        """The JSON that a program wrote."""
        return json.loads(self.run(*command))


Writer = Callable[[Desk, Path], str]
"""Writes the image `app:1` to a path; returns how squashproxy names what was written."""
Reader = Callable[[Desk, Path], list[str]]
"""Takes in an archive that holds `app:squashed`, or `squashed`; returns the layers' diff IDs."""


def _docker_save(desk: Desk, path: Path) -> str:
    desk.run("docker", "load", "--quiet", "--input", desk.archive)
    desk.run("docker", "save", "--output", path, NAME)
    return f"docker-archive:{path}:{NAME}"


def _docker_save_several(desk: Desk, path: Path) -> str:
    desk.run("docker", "load", "--quiet", "--input", desk.archive)
    desk.run("docker", "tag", NAME, "example.com/other:2")
    desk.run("docker", "save", "--output", path, "example.com/other:2", NAME)
    return f"docker-archive:{path}:example.com/other:2"


def _podman_save(kind: str) -> Writer:
    def write(desk: Desk, path: Path) -> str:
        desk.run(*PODMAN, "load", "--quiet", "--input", desk.archive)
        desk.run(*PODMAN, "save", "--quiet", "--format", kind, "--output", path, NAME)
        return f"{kind}:{path}"

    return write


def _buildah_push(kind: str) -> Writer:
    def write(desk: Desk, path: Path) -> str:
        desk.run(*BUILDAH, "pull", "--quiet", f"docker-archive:{desk.archive}")
        desk.run(*BUILDAH, "push", "--quiet", NAME, f"{kind}:{path}:{_name_in(kind)}")
        return f"{kind}:{path}:{_name_in(kind)}"

    return write


def _skopeo_copy(kind: str) -> Writer:
    def write(desk: Desk, path: Path) -> str:
        target = f"{kind}:{path}:{_name_in(kind)}"
        source = f"docker://{desk.registry.host}/{NAME}"
        desk.run(*SKOPEO, "--src-tls-verify=false", source, target)
        return target

    return write


def _crane_pull(kind: str, transport: str) -> Writer:
    def write(desk: Desk, path: Path) -> str:
        image = f"{desk.registry.host}/{NAME}"
        desk.run(desk.find_crane(), "pull", "--insecure", "--format", kind, image, path)
        return f"{transport}:{path}"

    return write


def _name_in(kind: str) -> str:
    return NAME if kind == "docker-archive" else "1"


WRITERS: dict[str, Writer] = {
    "podman save, docker": _podman_save("docker-archive"),
    "podman save, OCI": _podman_save("oci-archive"),
    "buildah push docker-archive": _buildah_push("docker-archive"),
    "buildah push oci-archive": _buildah_push("oci-archive"),
    "buildah push oci": _buildah_push("oci"),
    "skopeo copy docker-archive": _skopeo_copy("docker-archive"),
    "skopeo copy oci-archive": _skopeo_copy("oci-archive"),
    "skopeo copy oci": _skopeo_copy("oci"),
    "crane pull tarball": _crane_pull("tarball", "docker-archive"),
    "crane pull legacy": _crane_pull("legacy", "docker-archive"),
    "crane pull oci": _crane_pull("oci", "oci"),
}
DOCKER_WRITERS: dict[str, Writer] = {
    "docker save": _docker_save,
    "docker save of several": _docker_save_several,
}


def _docker_load(desk: Desk, path: Path) -> list[str]:
    said = desk.run("docker", "load", "--input", path)
    assert "Loaded image: app:squashed" in said
    inspected = desk.json("docker", "image", "inspect", "app:squashed")
    layers: list[str] = inspected[0]["RootFS"]["Layers"]
    return layers


def _podman_load(desk: Desk, path: Path) -> list[str]:
    said = desk.run(*PODMAN, "load", "--quiet", "--input", path)
    image = said.strip().rpartition(" ")[2]
    inspected = desk.json(*PODMAN, "image", "inspect", image)
    layers: list[str] = inspected[0]["RootFS"]["Layers"]
    return layers


def _skopeo_read(kind: str, name: str) -> Reader:
    def read(desk: Desk, path: Path) -> list[str]:
        source = f"{kind}:{path}:{name}"
        desk.run(*SKOPEO, source, f"dir:{desk.folder / 'skopeo'}")
        config = desk.json("skopeo", "--insecure-policy", "inspect", "--config", source)
        layers: list[str] = config["rootfs"]["diff_ids"]
        return layers

    return read


def _buildah_pull(kind: str) -> Reader:
    def read(desk: Desk, path: Path) -> list[str]:
        image = desk.run(*BUILDAH, "pull", "--quiet", f"{kind}:{path}").strip()
        inspected = desk.json(*BUILDAH, "inspect", "--type", "image", image)
        layers: list[str] = inspected["OCIv1"]["rootfs"]["diff_ids"]
        return layers

    return read


def _crane_push(desk: Desk, path: Path) -> list[str]:
    crane = desk.find_crane()
    if path.is_file():
        desk.run(crane, "validate", "--tarball", path)
    image = f"{desk.registry.host}/pushed:{path.name}"
    desk.run(crane, "push", "--insecure", path, image)
    config = desk.json(crane, "config", "--insecure", image)
    layers: list[str] = config["rootfs"]["diff_ids"]
    return layers


def _umoci_unpack(desk: Desk, path: Path) -> list[str]:
    desk.run("umoci", "raw", "unpack", "--image", f"{path}:squashed", desk.folder / "rootfs")
    config = desk.json("skopeo", "--insecure-policy", "inspect", "--config", f"oci:{path}:squashed")
    layers: list[str] = config["rootfs"]["diff_ids"]
    return layers


READERS: dict[str, tuple[str, Reader]] = {
    "podman load": ("docker-archive", _podman_load),
    "podman load of OCI": ("oci-archive", _podman_load),
    "skopeo, docker-archive": ("docker-archive", _skopeo_read("docker-archive", "app:squashed")),
    "skopeo, oci-archive": ("oci-archive", _skopeo_read("oci-archive", "squashed")),
    "skopeo, oci": ("oci", _skopeo_read("oci", "squashed")),
    "buildah pull docker-archive": ("docker-archive", _buildah_pull("docker-archive")),
    "buildah pull oci-archive": ("oci-archive", _buildah_pull("oci-archive")),
    "buildah pull oci": ("oci", _buildah_pull("oci")),
    "crane push": ("docker-archive", _crane_push),
    "crane push of a layout": ("oci", _crane_push),
    "umoci unpack": ("oci", _umoci_unpack),
}
DOCKER_READERS: dict[str, tuple[str, Reader]] = {"docker load": ("docker-archive", _docker_load)}
