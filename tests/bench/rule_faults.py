"""The table of faults for promote and cleanup: rules against registries that fail, by seeds.

    python -m tests.bench.rule_faults [--runs 10] [--seed 1] [--verb promote]
        [--registry distribution2]

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.faults import Kind, add_options, chosen_kinds, write_command
from tests.bench.outages import Ending, show_wrong, write_row
from tests.bench.places import Place, new_place
from tests.cleanup.room import image

_READS = ("GET", "HEAD")
_CHANGES = (*_READS, "DELETE", "PUT", "POST", "PATCH")
_HUNG_SECONDS = 400.0
_IMAGES = 3
_BUG = "this is a bug"


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
    old: Place
    new: Place
    folder: Path

    def fill(self) -> None:
        """Push what the verb works on."""
        for number in range(_IMAGES):
            image(number).push(self.old.images, "app", f"v{number}")
            if self.verb.words[0] == "cleanup":
                image(number).push(self.new.images, "app", f"v{number}")
        image("older").push(self.new.images, "app", "v0")
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

    def disarm(self) -> None:
        """Let both registries be well again."""
        self.old.faulty.disarm()
        self.new.faulty.disarm()

    @property
    def tags(self) -> dict[str, str]:
        """The target's tags."""
        return self.new.tags("app")


@dataclass(frozen=True, slots=True)
class Trial:
    """A verb that is tried between registries of a make."""

    verb: Verb
    make: str

    def calm_tags(self) -> dict[str, str]:
        """The target's tags after a run without a fault."""
        with self._scene() as scene:
            done = scene.run()
            assert done is not None
            assert done[0] == 0, done
            return scene.tags

    def run(self, kind: Kind, side: str, right: dict[str, str], chance: random.Random) -> Ending:
        """One run that meets faults of a kind at one side, and a second one where that failed."""
        with self._scene() as scene:
            methods = [each for each in kind.methods if each in self.verb.sides[side]]
            kind.arm(scene.old if side == "source" else scene.new, methods, chance)
            return _ending(scene, right)

    @contextmanager
    def _scene(self) -> Iterator[Scene]:
        with (
            new_place(self.make) as old,
            new_place(self.make) as new,
            tempfile.TemporaryDirectory() as folder,
        ):
            scene = Scene(self.verb, old, new, Path(folder))
            scene.fill()
            yield scene


def _ending(scene: Scene, right: dict[str, str]) -> Ending:
    before = scene.tags
    done = scene.run()
    if done is None:
        return Ending.HUNG
    code, said = done
    now = scene.tags
    if code == 0 and now == right:
        return Ending.RIGHT
    scene.disarm()
    again = scene.run()
    is_clear = code != 0 and said.strip() and "Traceback" not in said and _BUG not in said
    is_unharmed = all(
        now.get(tag) in (before.get(tag), right.get(tag)) for tag in {*before, *now, *right}
    )
    is_mended = again is not None and again[0] == 0 and scene.tags == right
    if is_clear and is_unharmed and is_mended:
        return Ending.CLEAR_ERROR
    show_wrong(f"exit code {code}", said, f"{before} became {now}, {right} is right", again)
    return Ending.WRONG


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_options(parser, 10)
    parser.add_argument("--verb", choices=VERBS, action="append", help="by default all")
    arguments = parser.parse_args()
    write_command("rule_faults", arguments, {"verb": arguments.verb})
    write_row("verb", "fault", "at", "runs", *(each.value for each in Ending))
    write_row("---", "---", "---", *["--:"] * (len(Ending) + 1))
    for name in arguments.verb or VERBS:
        verb = VERBS[name]
        trial = Trial(verb, arguments.registry)
        right = trial.calm_tags()
        for kind in chosen_kinds(arguments):
            for side, methods in verb.sides.items():
                if not set(kind.methods) & set(methods):
                    continue
                chance = random.Random(f"{arguments.seed} {name} {kind.name} {side}")
                found = Counter(trial.run(kind, side, right, chance) for _ in range(arguments.runs))
                write_row(name, kind.name, side, found.total(), *(found[each] for each in Ending))


if __name__ == "__main__":
    main()
