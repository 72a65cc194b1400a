"""A process that is killed at any moment of copy, promote or cleanup leaves nothing wrong.

The moments are requests: the process gets its signal before one of them is answered. The number of
the request and the signal come from the seed. Afterwards, whatever a tag points to is whole and
right, and a second run finishes what the first began.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cli.main import run
from squashproxy.digest import Digest, digest_of
from squashproxy.testing import BuiltImage, FakeRegistry, LayerBuilder
from tests.cleanup.room import held, image, pulls_whole
from tests.pipeline.images import image_of, noise

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_SECONDS = 60


@dataclass(slots=True)
class Scene:
    """Registry and folder of a run; `right` is what each tag may point to, None for nothing."""

    registry: FakeRegistry
    folder: Path
    words: list[str]
    right: dict[str, set[Digest | None]] = field(default_factory=dict)

    def place(self, word: str) -> str:
        return word.replace("HOST", self.registry.host).replace("FOLDER", str(self.folder))

    @property
    def command(self) -> list[str]:
        return [self.place(word) for word in self.words]


class Killer:
    """Sends a signal to a process before the request with a number is answered."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.asked = 0
        self.at = 0
        self.signal = signal.SIGKILL
        self._lock = threading.Lock()
        registry.before_each(self._look)

    def _look(self, _: str, __: str) -> None:
        with self._lock:
            self.asked += 1
            process = self.process
            is_due = self.asked == self.at
        if is_due and process is not None:
            process.send_signal(self.signal)
            if self.signal is signal.SIGKILL:
                process.wait(_SECONDS)

    def run(self, command: list[str], folder: Path, at: int, name: signal.Signals) -> int:
        """The exit code of a process that gets a signal at its request number `at`."""
        self.asked, self.at, self.signal = 0, at, name
        environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "squashproxy", *command],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, errors = self.process.communicate(timeout=_SECONDS)
        assert b"Traceback" not in errors, errors
        assert b"bug" not in errors, errors
        return self.process.returncode


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as started:
        yield started


def layered(seed: int) -> BuiltImage:
    base = LayerBuilder().file("base", noise(300_000, 1))
    middle = LayerBuilder().file("a", noise(200_000, seed + 2)).file("b", b"b")
    return image_of(base, middle, LayerBuilder().file("b", b"new").whiteout("a"))


def fill_apps(registry: FakeRegistry, count: int) -> None:
    for number in range(count):
        layered(number).push(registry, "apps/web", f"v{number}")


def copy_scene(registry: FakeRegistry, folder: Path, target: str) -> Scene:
    fill_apps(registry, 1)
    return Scene(registry, folder, ["copy", "HOST/apps/web:v0", target])


def promote_scene(registry: FakeRegistry, folder: Path) -> Scene:
    fill_apps(registry, 3)
    text = (
        "state: FOLDER/state\npromote:\n  - {name: a, from: HOST/apps/web, to: HOST/prod/web, "
        "on_existing: backup}\n"
    )
    scene = Scene(registry, folder, ["promote", "FOLDER/rules.yml"])
    (folder / "rules.yml").write_text(scene.place(text))
    image("older").push(registry, "prod/web", "v0")
    return scene


def cleanup_scene(registry: FakeRegistry, folder: Path, action: str) -> Scene:
    for number in range(6):
        image(number).push(registry, "prod/web", f"old{number}")
    image("kept").push(registry, "prod/web", "keep")
    image(3).push(registry, "prod/web", "keep3")
    text = (
        "state: FOLDER/state\ncleanup:\n  - {name: a, repositories: [HOST/prod/web], "
        f"keep: {{tags: ['keep*']}}, action: {action}}}\n"
    )
    scene = Scene(registry, folder, ["cleanup", "--apply", "FOLDER/rules.yml"])
    (folder / "rules.yml").write_text(scene.place(text))
    return scene


SCENES: dict[str, Callable[[FakeRegistry, Path], Scene]] = {
    "copy to a registry": lambda reg, at: copy_scene(reg, at, "HOST/prod/web:v0"),
    "copy to a layout": lambda reg, at: copy_scene(reg, at, "oci:FOLDER/layout:v0"),
    "copy to an archive": lambda reg, at: copy_scene(reg, at, "oci-archive:FOLDER/a.tar:v0"),
    "copy for docker": lambda reg, at: copy_scene(reg, at, "docker-archive:FOLDER/d.tar:a:v0"),
    "promote": promote_scene,
    "cleanup that deletes": lambda reg, at: cleanup_scene(reg, at, "delete"),
    "cleanup that squashes": lambda reg, at: cleanup_scene(reg, at, "squash"),
}


ALWAYS = {("copy to a layout", 0), ("promote", 0), ("cleanup that deletes", 0)}
CASES = [
    pytest.param(name, seed, marks=[] if (name, seed) in ALWAYS else [pytest.mark.long])
    for name in SCENES
    for seed in range(40)
]


@dataclass(frozen=True, slots=True)
class Found:
    """Tags of the target, and files of a layout or archive, by digest."""

    tags: dict[str, Digest]
    files: dict[str, Digest]


def found_in(scene: Scene) -> Found:
    registry = scene.registry
    tags = {**registry.tags("prod/web")} if "prod/web" in registry._store.names() else {}
    files = {
        name: digest_of((scene.folder / name).read_bytes())
        for name in ("a.tar", "d.tar")
        if (scene.folder / name).exists()
    }
    index = scene.folder / "layout" / "index.json"
    if index.exists():
        for entry in json.loads(index.read_bytes())["manifests"]:
            tag = entry["annotations"]["org.opencontainers.image.ref.name"]
            files[f"layout:{tag}"] = entry["digest"]
    return Found(tags, files)


def check_layout(folder: Path) -> None:
    """Every blob of a layout has its digest, and what the index names is there, down to blobs."""
    blobs = folder / "layout" / "blobs" / "sha256"
    for path in blobs.glob("*") if blobs.exists() else ():
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}", path
    index = folder / "layout" / "index.json"
    for entry in json.loads(index.read_bytes())["manifests"] if index.exists() else ():
        manifest = json.loads((blobs / entry["digest"].partition(":")[2]).read_bytes())
        for part in (manifest["config"], *manifest["layers"]):
            assert (blobs / part["digest"].partition(":")[2]).exists()


def check(scene: Scene, before: Found, after: Found) -> None:
    """Each tag and file is as before, or as after an undisturbed run; what tags need is there."""
    now = found_in(scene)
    for name in {*before.tags, *after.tags, *now.tags}:
        assert now.tags.get(name) in (before.tags.get(name), after.tags.get(name)), name
    for tag, digest in now.tags.items():
        assert pulls_whole(scene.registry, digest, "prod/web"), tag
    for name, digest in now.files.items():
        assert digest == after.files[name], name
    check_layout(scene.folder)
    for log in (scene.folder / "state" / "audit").glob("*.jsonl"):
        read_log(log)


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_whatever_moment_a_second_run_comes_out_right(
    registry: FakeRegistry, tmp_path: Path, name: str, seed: int
) -> None:
    dice = random.Random(f"{name} {seed}")
    apart = tmp_path / "apart"
    apart.mkdir()
    with FakeRegistry() as other:  # an undisturbed run, for what it makes and what it asks
        scene = SCENES[name](other, apart)
        before = found_in(scene)
        other.forget_requests()
        assert run(scene.command) == 0
        count = len(other.requests)
        after = found_in(scene)
        whole = held(other, "prod/web").manifests.keys() if after.tags else set()
    scene = SCENES[name](registry, tmp_path)
    killer = Killer(registry)
    code = killer.run(scene.command, tmp_path, dice.randint(1, count), dice.choice(SIGNALS))
    assert code in (0, 1, 3, 130, -signal.SIGKILL)
    check(scene, before, after)
    assert killer.run(scene.command, tmp_path, 0, signal.SIGKILL) == 0
    now = found_in(scene)
    assert now == after
    check(scene, before, after)
    if after.tags:
        assert held(registry, "prod/web").manifests.keys() == whole
    leftovers = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert leftovers == [] or code == -signal.SIGKILL
