"""Where the commands of documents run: two registries with the images that documents speak of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from squashproxy.oci.platform import Platform
from squashproxy.signing.key_box import RANDOM_BYTES
from squashproxy.signing.private_key import seal_private_key
from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder, index_of
from tests.cli.command_line import InProcess
from tests.documents.markdown import documents
from tests.pipeline.signatures.signed import RIGHT, sign_by_bundle

PASSWORD = "of the keys in documents"
RULES = "deploy/rules/README.md"
SERVE = "serve:\n  upstreams: {docker.io: {}}\n  store: {directory: cache}\n"
_BASE = LayerBuilder().directory("etc").file("etc/issue", b"base" * 999)
_MIDDLE = LayerBuilder().directory("srv").file("srv/cache", b"cache" * 999)
_TOP = LayerBuilder().whiteout("srv/cache").file("srv/app", b"app" * 999)
_PODS = {"items": [{"spec": {"containers": [{"image": "registry.example.com/apps/web:1.4"}]}}]}
_PINNED = "sha256:4bc453b53cb3d914b45f4b250294236adba2c0e09ff6f03793949e7e39fd4cc1"


@dataclass(frozen=True, slots=True)
class Place:
    """The registries that stand for those of the documents, and the folder of the commands."""

    source: FakeRegistry
    target: FakeRegistry
    folder: Path

    def localized(self, text: str) -> str:
        """A text of a document, with the names of this place."""
        return (
            text.replace("registry.dev.example.com", self.source.host)
            .replace("registry.example.com", self.target.host)
            .replace("https://hooks.example.com/", f"{self.target.url}/not-there/")
            .replace("/var/lib/squashproxy", str(self.folder / "state"))
            .replace("/etc/squashproxy", str(self.folder / "etc"))
            .replace(_PINNED, self.source.tags("apps/web")["1.4"])
        )

    def prepare(self, run: InProcess, *, fills_target: bool) -> None:
        """Write the files that commands name; with `fills_target`, copy the image beforehand."""
        source = f"{self.source.host}/apps/web:1.4"
        archived = run("copy", "--platform", "linux/amd64", source, "docker-archive:app.tar:web:1")
        assert archived.code == 0, archived.err
        if fills_target:
            copied = run("copy", source, f"{self.target.host}/apps/web:1.4")
            assert copied.code == 0, copied.err
        (block,) = documents()[RULES].blocks("yaml")
        rules = self.localized(block.text)
        sealed = seal_private_key(RIGHT, PASSWORD.encode(), os.urandom(RANDOM_BYTES))
        for file in (self.folder / "squashproxy.yml", self.folder / "etc" / "squashproxy.yml"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(rules + SERVE)
            file.with_name("pods.json").write_text(json.dumps(_PODS))
            file.with_name("build.pub").write_bytes(RIGHT.public.pem)
            file.with_name("signing.key").write_bytes(sealed)
            file.with_name("signing.key").chmod(0o600)
            hook = file.with_name("may-be-promoted")
            hook.write_text("#!/bin/sh\nexec cat >&2\n")
            hook.chmod(0o755)


@contextmanager
def open_place(folder: Path) -> Iterator[Place]:
    """Both registries, with an index of two platforms at the source and its base at the target."""
    with FakeRegistry() as source, FakeRegistry() as target:
        platforms = (Platform("linux", "amd64"), Platform("linux", "arm64"))
        for name, tag in (("web", "1.4"), ("web", "v1.4.0"), ("api", "v2.0.0")):
            digest = index_of(map(_app, platforms)).push(source, f"apps/{name}", tag)
            sign_by_bundle(source, f"apps/{name}", digest)
        ImageBuilder().layer(_BASE).push(source, "debian", "12")
        ImageBuilder().layer(_BASE).push(target, "base/debian", "12")
        ImageBuilder().layer(_BASE).push(target, "prod/base", "12")
        _app(platforms[0]).push(target, "legacy/old", "1")
        yield Place(source, target, folder)


def _app(platform: Platform) -> ImageBuilder:
    return ImageBuilder(platform=platform).layer(_BASE).layer(_MIDDLE).layer(_TOP)
