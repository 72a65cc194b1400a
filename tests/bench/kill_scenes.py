"""Commands that can be killed: each with its registry, its folder, and what is right afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import requests

from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cli.main import run
from squashproxy.digest import Digest, digest_of
from squashproxy.testing import BuiltImage, FakeRegistry, LayerBuilder
from tests.cleanup.room import held, image, pulls_whole
from tests.pipeline.images import image_of, noise

_PULL_SECONDS = 60
_TARGETS = ("prod/web", "prod/old")
UPSTREAM = "up.example"
"""What the servers call the registry of a scene."""


@dataclass(frozen=True, slots=True)
class Found:
    """Tags of the targets, images of layouts, and published files that are always the same."""

    tags: dict[str, Digest]
    files: dict[str, Digest]


@dataclass(slots=True)
class Scene:
    """A command with its registry and folder; `words` may hold HOST and FOLDER.

    A command that lasts until a signal comes has `is_done`, which gets what it wrote to standard
    error, may give it work, and says whether all is done.
    """

    registry: FakeRegistry
    folder: Path
    words: list[str]
    is_done: Callable[[Scene, str], bool] | None = None
    pulled: dict[str, Digest] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The words of the command line."""
        return [self.place(word) for word in self.words]

    def place(self, text: str) -> str:
        """A text with the registry and the folder in it."""
        return text.replace("HOST", self.registry.host).replace("FOLDER", str(self.folder))

    def write(self, name: str, text: str) -> None:
        """Write a file into the folder."""
        (self.folder / name).write_text(self.place(text))

    def look(self) -> Found:
        """What is at the targets."""
        tags = {
            f"{repo}:{tag}": digest
            for repo in _TARGETS
            for tag, digest in self.registry.tags(repo).items()
        }
        files = {
            name: digest_of((self.folder / name).read_bytes())
            for name in ("a.tar", "d.tar")
            if (self.folder / name).exists()
        }
        return Found(tags, files | _images_of(self.folder / "layout") | self.pulled)

    def manifests(self) -> set[Digest]:
        """All manifests of the targets."""
        return {
            digest
            for repo in _TARGETS
            if self.registry.tags(repo)
            for digest in held(self.registry, repo).manifests
        }

    def complaints(self, before: Found, after: Found) -> Iterator[str]:
        """What is wrong: tags and files are as before or as after a calm run, and all is whole."""
        now = self.look()
        for name in {*before.tags, *after.tags, *now.tags}:
            if now.tags.get(name) not in (before.tags.get(name), after.tags.get(name)):
                yield f"the tag {name} is {now.tags.get(name)}"
        for name, digest in now.files.items():
            if digest not in (before.files.get(name), after.files.get(name)):
                yield f"{name} is {digest}"
        yield from self._parts(now)

    def _parts(self, now: Found) -> Iterator[str]:
        """What is not whole."""
        for name, digest in now.tags.items():
            repo, _, tag = name.rpartition(":")
            if not pulls_whole(self.registry, digest, repo):
                yield f"the tag {tag} of {repo} is not whole"
        for folder in ("layout", "store"):
            yield from _damage_in(self.folder / folder)
        for name, is_whole in _WHOLE.items():
            for path in self.folder.glob(name):
                if not is_whole(path):
                    yield f"{path.name} is not whole"


def _images_of(layout: Path) -> dict[str, Digest]:
    index = layout / "index.json"
    if not index.exists():
        return {}
    return {
        f"layout:{entry['annotations']['org.opencontainers.image.ref.name']}": entry["digest"]
        for entry in json.loads(index.read_bytes())["manifests"]
    }


def _damage_in(layout: Path) -> Iterator[str]:
    """Blobs of a layout that differ from their digest, and those that its index lacks."""
    blobs = layout / "blobs" / "sha256"
    for path in blobs.glob("*"):
        if digest_of(path.read_bytes()) != f"sha256:{path.name}":
            yield f"the blob {path.name} is damaged"
    index = layout / "index.json"
    for entry in json.loads(index.read_bytes())["manifests"] if index.exists() else ():
        manifest = json.loads((blobs / entry["digest"].partition(":")[2]).read_bytes())
        for part in (manifest["config"], *manifest["layers"]):
            if not (blobs / part["digest"].partition(":")[2]).exists():
                yield f"the blob {part['digest']} is absent"


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _is_xml(path: Path) -> bool:
    try:
        ET.parse(path)
    except ET.ParseError:
        return False
    return True


def _is_log(path: Path) -> bool:
    read_log(path)
    return True


_WHOLE: dict[str, Callable[[Path], bool]] = {
    "plan.json": _is_json,
    "junit.xml": _is_xml,
    "page.html": lambda path: path.read_text().rstrip().endswith("</html>"),
    "state/audit/*.jsonl": _is_log,
}


def layered(seed: int) -> BuiltImage:
    """An image whose upper layer hides something; its base is shared by all."""
    base = LayerBuilder().file("base", noise(300_000, 1))
    middle = LayerBuilder().file("a", noise(200_000, seed + 2)).file("b", b"b")
    return image_of(base, middle, LayerBuilder().file("b", b"new").whiteout("a"))


def _with_apps(registry: FakeRegistry, folder: Path, words: str, count: int = 1) -> Scene:
    for number in range(count):
        layered(number).push(registry, "apps/web", f"v{number}")
    return Scene(registry, folder, words.split())


def _from_archive(registry: FakeRegistry, folder: Path, target: str) -> Scene:
    scene = _with_apps(registry, folder, f"copy oci-archive:FOLDER/in.tar {target}")
    words = ["copy", "-q", "--mode", "copy", "HOST/apps/web:v0", "oci-archive:FOLDER/in.tar"]
    assert run([scene.place(word) for word in words]) == 0
    return scene


def _promote(registry: FakeRegistry, folder: Path) -> Scene:
    words = "promote --junit FOLDER/junit.xml FOLDER/rules.yml"
    scene = _with_apps(registry, folder, words, 3)
    rule = "{name: a, from: HOST/apps/web, to: HOST/prod/web, on_existing: backup}"
    scene.write("rules.yml", f"state: FOLDER/state\npromote: [{rule}]\n")
    image("older").push(registry, "prod/web", "v0")
    return scene


def _clean(registry: FakeRegistry, folder: Path, action: str, options: str = "--apply") -> Scene:
    for number in range(6):
        image(number).push(registry, "prod/web", f"old{number}")
    image("kept").push(registry, "prod/web", "keep")
    image(3).push(registry, "prod/web", "keep3")
    scene = Scene(registry, folder, ["cleanup", *options.split(), "FOLDER/rules.yml"])
    rule = (
        f"{{name: a, repositories: [HOST/prod/web], keep: {{tags: ['keep*']}}, action: {action}}}"
    )
    scene.write("rules.yml", f"state: FOLDER/state\ncleanup: [{rule}]\n")
    return scene


def _undo(registry: FakeRegistry, folder: Path) -> Scene:
    scene = _clean(registry, folder, "delete")
    assert run([*scene.command, "-q"]) == 0
    [log] = (folder / "state" / "audit").glob("*.jsonl")
    scene.words = ["cleanup", "--undo", str(log), "FOLDER/rules.yml"]
    return scene


def _run(registry: FakeRegistry, folder: Path) -> Scene:
    scene = _with_apps(registry, folder, "run FOLDER/rules.yml", 2)
    for tag in ("keep", "old1", "old2"):
        image(tag).push(registry, "prod/old", tag)
    scene.write(
        "rules.yml",
        "state: FOLDER/state\n"
        "promote: [{name: p, from: HOST/apps/web, to: HOST/prod/web, every: 10s}]\n"
        "cleanup: [{name: c, repositories: [HOST/prod/old], keep: {tags: [keep]}, action: delete, "
        "every: 10s}]\n",
    )
    scene.is_done = _rules_are_done
    return scene


def _rules_are_done(scene: Scene, said: str) -> bool:
    new, old = (set(scene.registry.tags(repo)) for repo in _TARGETS)
    return new == {"v0", "v1"} and old == {"keep"} and "cleanup c done" in said


def _serve(registry: FakeRegistry, folder: Path, store: dict[str, str]) -> Scene:
    scene = _with_apps(registry, folder, "serve FOLDER/serve.yml")
    section = {
        "listen": "127.0.0.1:0",
        "drain": "1s",
        "store": store,
        "upstreams": {UPSTREAM: {"url": registry.url}},
    }
    scene.write("serve.yml", json.dumps({"serve": section}))
    scene.is_done = _is_pulled
    return scene


def _is_pulled(scene: Scene, said: str) -> bool:
    """Pull through the server; whether the squashed image came, with every blob."""
    _, _, address = said.partition("listening on ")
    host = address.partition(",")[0].split()
    if not host:
        return False
    url = f"http://{host[0]}/v2/{UPSTREAM}/apps/web"
    try:
        answer = requests.get(f"{url}/manifests/v0", timeout=_PULL_SECONDS)
        if answer.headers.get("X-Squashproxy-Source") == "original" or not answer.ok:
            return False
        for part in (answer.json()["config"], *answer.json()["layers"]):
            data = requests.get(f"{url}/blobs/{part['digest']}", timeout=_PULL_SECONDS).content
            assert digest_of(data) == part["digest"]
    except requests.RequestException:
        return False
    scene.pulled["the pulled image"] = digest_of(answer.content)
    return True


SCENES: dict[str, Callable[[FakeRegistry, Path], Scene]] = {
    "copy": lambda reg, at: _with_apps(reg, at, "copy HOST/apps/web:v0 HOST/prod/web:v0"),
    "copy that prunes": lambda reg, at: _with_apps(
        reg,
        at,
        "copy --mode prune --layer-memory FOLDER/memory HOST/apps/web:v0 HOST/prod/web:v0",
    ),
    "copy that changes nothing": lambda reg, at: _with_apps(
        reg, at, "copy --mode copy --referrers HOST/apps/web:v0 HOST/prod/web:v0"
    ),
    "copy to a layout": lambda reg, at: _with_apps(
        reg, at, "copy HOST/apps/web:v0 oci:FOLDER/layout:v0"
    ),
    "copy to an archive": lambda reg, at: _with_apps(
        reg, at, "copy HOST/apps/web:v0 oci-archive:FOLDER/a.tar:v0"
    ),
    "copy for docker": lambda reg, at: _with_apps(
        reg, at, "copy HOST/apps/web:v0 docker-archive:FOLDER/d.tar:a:v0"
    ),
    "copy from an archive": lambda reg, at: _from_archive(reg, at, "HOST/prod/web:v0"),
    "copy from an archive to a layout": lambda reg, at: _from_archive(
        reg, at, "oci:FOLDER/layout:v0"
    ),
    "promote": _promote,
    "cleanup that deletes": lambda reg, at: _clean(reg, at, "delete"),
    "cleanup that squashes": lambda reg, at: _clean(reg, at, "squash"),
    "cleanup that plans": lambda reg, at: _clean(reg, at, "delete", "--plan FOLDER/plan.json"),
    "cleanup that undoes": _undo,
    "run": _run,
    "serve, store in a folder": lambda reg, at: _serve(reg, at, {"directory": f"{at}/store"}),
    "serve, store in a registry": lambda reg, at: _serve(
        reg, at, {"registry": f"{reg.host}/cache"}
    ),
    "plan": lambda reg, at: _with_apps(
        reg, at, "plan --layer-memory FOLDER/memory --html FOLDER/page.html HOST/apps/web:v0"
    ),
    "verify": lambda reg, at: _with_apps(reg, at, "verify HOST/apps/web:v0 HOST/apps/web:v0"),
}
"""By name: how to set up a command in a registry and an empty folder."""
