"""The table of faults for promote and cleanup: rules against registries that fail, by seeds.

    python -m tests.bench.rule_faults [--runs 10] [--seed 1] [--verb promote]

Each run is a process of its own, and meets one to three faults of one kind, as in
tests/bench/faults.py. Right means that every tag is as after a calm run. A run that ends with an
error must leave each tag as it was or as it should become, and a second run must end right.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from squashproxy.testing import FakeRegistry
from tests.bench.faults import KINDS, Kind
from tests.bench.outages import Ending, write_row
from tests.cleanup.room import image

_READS = ("GET", "HEAD")
_CHANGES = (*_READS, "DELETE", "PUT", "POST", "PATCH")
_HUNG_SECONDS = 400.0
_IMAGES = 3


@dataclass(frozen=True, slots=True)
class Verb:
    """A command that follows rules: its words, the rules, and the methods that faults meet."""

    words: tuple[str, ...]
    rules: str
    sides: Mapping[str, tuple[str, ...]]


_CLEANUP = "cleanup: [{name: r, repositories: [NEW/app], keep: {tags: [v0]}, action: %s}]\n"
VERBS: dict[str, Verb] = {
    "promote": Verb(
        ("promote",),
        "promote: [{name: r, from: OLD/app, to: NEW/app, on_existing: backup}]\n",
        {"source": _READS, "target": ("GET", "HEAD", "PUT", "POST", "PATCH")},
    ),
    "cleanup that deletes": Verb(
        ("cleanup", "--apply"), _CLEANUP % "delete", {"target": ("GET", "HEAD", "DELETE")}
    ),
    "cleanup that squashes": Verb(
        ("cleanup", "--apply"), _CLEANUP % "squash", {"target": _CHANGES}
    ),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Two registries and a folder, in which a verb runs."""

    verb: Verb
    old: FakeRegistry
    new: FakeRegistry
    folder: Path

    def fill(self) -> None:
        """Push what the verb works on."""
        for number in range(_IMAGES):
            image(number).push(self.old, "app", f"v{number}")
            if self.verb.words[0] == "cleanup":
                image(number).push(self.new, "app", f"v{number}")
        image("older").push(self.new, "app", "v0")
        rules = self.verb.rules.replace("OLD", self.old.host).replace("NEW", self.new.host)
        (self.folder / "rules.yml").write_text(f"state: {self.folder}/state\n{rules}")

    def run(self) -> tuple[int, str] | None:
        """Exit code and standard error; None for a run that hangs."""
        line = [sys.executable, "-m", "squashproxy", *self.verb.words, f"{self.folder}/rules.yml"]
        environ = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}
        try:
            done = subprocess.run(
                line,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
                timeout=_HUNG_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return None
        return done.returncode, done.stderr

    @property
    def tags(self) -> dict[str, str]:
        """The target's tags."""
        return dict(self.new.tags("app"))


def in_scene(verb: Verb, act: Callable[[Scene], Ending]) -> Ending:
    """Let a new scene be acted in."""
    with FakeRegistry() as old, FakeRegistry() as new, tempfile.TemporaryDirectory() as folder:
        scene = Scene(verb, old, new, Path(folder))
        scene.fill()
        return act(scene)


def calm_tags(verb: Verb) -> dict[str, str]:
    """The target's tags after a run without a fault."""
    found: dict[str, str] = {}

    def act(scene: Scene) -> Ending:
        done = scene.run()
        assert done is not None
        assert done[0] == 0, done
        found.update(scene.tags)
        return Ending.RIGHT

    in_scene(verb, act)
    return found


def run(verb: Verb, kind: Kind, side: str, right: dict[str, str], chance: random.Random) -> Ending:
    """One run that meets faults of a kind at one side, and a second one where that failed."""

    def act(scene: Scene) -> Ending:
        before = scene.tags
        registry = scene.old if side == "source" else scene.new
        methods = [each for each in kind.methods if each in verb.sides[side]]
        for _ in range(chance.randint(1, 3)):
            registry.arm(kind.make(chance, chance.choice(methods)))
        done = scene.run()
        if done is None:
            return Ending.HUNG
        code, said = done
        if "Traceback" in said or "this is a bug" in said:
            return Ending.WRONG
        if code == 0:
            return Ending.RIGHT if scene.tags == right else Ending.WRONG
        now = scene.tags
        for tag in {*before, *now, *right}:
            if now.get(tag) not in (before.get(tag), right.get(tag)):
                return Ending.WRONG
        registry.disarm()
        again = scene.run()
        is_mended = again is not None and again[0] == 0 and scene.tags == right
        return Ending.CLEAR_ERROR if is_mended and said.strip() else Ending.WRONG

    return in_scene(verb, act)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="for each row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verb", choices=VERBS, action="append", help="by default all")
    arguments = parser.parse_args()
    write_row("verb", "fault", "at", "runs", *(each.value for each in Ending))
    write_row("---", "---", "---", *["--:"] * (len(Ending) + 1))
    for name in arguments.verb or VERBS:
        verb = VERBS[name]
        right = calm_tags(verb)
        for kind in KINDS:
            for side, methods in verb.sides.items():
                if not set(kind.methods) & set(methods):
                    continue
                chance = random.Random(f"{arguments.seed} {name} {kind.name} {side}")
                found = Counter(run(verb, kind, side, right, chance) for _ in range(arguments.runs))
                write_row(name, kind.name, side, found.total(), *(found[each] for each in Ending))


if __name__ == "__main__":
    main()
