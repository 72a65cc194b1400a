"""Two independent unpackers that show what an image looks like when it runs.

umoci applies layers one after the other into a folder; containers/storage (of buildah, podman and
CRI-O) makes a folder of each layer and lets the kernel's overlayfs merge them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.model.node import Node
from tests.real.registries import PASSWORD, USER, RealRegistry
from tests.real.scan import scan_tree

_ACCEPT_ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'
_IMAGE = "image"


class CommandFailedError(AssertionError):
    """A program answered with an error; the text holds what it said."""


def run(command: Sequence[str | Path], env: dict[str, str] | None = None) -> str:
    """What the program wrote to standard output. Raises `CommandFailedError`."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | (env or {})
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise CommandFailedError(f"{' '.join(words)}: exit code {done.returncode}: {said}")
    return done.stdout


def push_layout(layout: Path, tag: str, registry: RealRegistry, image: str) -> None:
    """Push an image of an OCI layout to `REGISTRY/image`, its bytes as they are."""
    run(
        [
            *("skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests"),
            *_access(registry, "dest"),
            *(f"oci:{layout}:{tag}", f"docker://{registry.host}/{image}"),
        ]
    )


def pull_layout(registry: RealRegistry, image: str, layout: Path) -> None:
    """Pull `REGISTRY/image` into an OCI layout, under the tag `image`."""
    run(
        [
            *("skopeo", "--insecure-policy", "copy", "--quiet"),
            *_access(registry, "src"),
            *(f"docker://{registry.host}/{image}", f"oci:{layout}:{_IMAGE}"),
        ]
    )


def _access(registry: RealRegistry, end: str) -> list[str]:
    credentials = [f"--{end}-creds={USER}:{PASSWORD}"] if registry.secured else []
    trust = f"--{end}-tls-verify=false"
    if registry.ca is not None:
        trust = f"--{end}-cert-dir={registry.ca.parent}"
    return [trust, *credentials]


class Judges:
    """Unpacks images of registries and of layouts in a folder of its own, with both tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder / "storage"}"\n'
            f'runroot = "{folder / "run"}"\n'
        )
        (folder / "policy.json").write_text(_ACCEPT_ANYTHING)

    def umoci_tree(self, registry: RealRegistry, image: str) -> dict[bytes, Node]:
        """The tree that `umoci raw unpack` makes of `REGISTRY/image`."""
        with self._layout(registry, image) as layout:
            return self._umoci_unpacked(layout)

    def overlay_tree(self, registry: RealRegistry, image: str) -> dict[bytes, Node]:
        """The tree that overlayfs shows of `REGISTRY/image`."""
        with self._layout(registry, image) as layout:
            return self._overlay_unpacked(layout)

    def trees(self, registry: RealRegistry, image: str) -> dict[str, dict[bytes, Node]]:
        """The tree of each judge by name, with one pull."""
        judges = {"umoci": self._umoci_unpacked, "overlay": self._overlay_unpacked}
        with self._layout(registry, image) as layout, ThreadPoolExecutor(len(judges)) as pool:
            trees = {name: pool.submit(judge, layout) for name, judge in judges.items()}
            return {name: tree.result() for name, tree in trees.items()}

    @contextmanager
    def _layout(self, registry: RealRegistry, image: str) -> Iterator[Path]:
        layout = self.folder / uuid.uuid4().hex
        try:
            pull_layout(registry, image, layout)
            yield layout
        finally:
            shutil.rmtree(layout, ignore_errors=True)

    def _umoci_unpacked(self, layout: Path) -> dict[bytes, Node]:
        rootfs = layout / "rootfs"
        run(["umoci", "raw", "unpack", "--image", f"{layout}:{_IMAGE}", rootfs])
        return scan_tree(rootfs)

    def _overlay_unpacked(self, layout: Path) -> dict[bytes, Node]:
        policy = f"--signature-policy={self.folder / 'policy.json'}"
        image = self._buildah("pull", "--quiet", policy, f"oci:{layout}:{_IMAGE}").strip()
        try:
            container = self._buildah("from", "--pull-never", policy, image).strip()
            try:
                return scan_tree(Path(self._buildah("mount", container).strip()))
            finally:
                self._buildah("umount", container)
                self._buildah("rm", container)
        finally:
            self._buildah("rmi", "--force", image)

    def _buildah(self, *arguments: str) -> str:
        return run(["buildah", *arguments], self._environment)

    def close(self) -> None:
        """Take away the mounts that a failure may have left, then the folder."""
        for line in Path("/proc/self/mounts").read_text().splitlines():
            mounted = line.split()[1]
            if mounted.startswith(f"{self.folder}/"):
                run(["umount", "--lazy", mounted])
        shutil.rmtree(self.folder)
