"""The table of restarts: a registry goes away in the middle of a copy, for seconds by a real clock.

    python -m tests.bench.outages [--seconds 1 5 10 30 60] [--places 3 6 9]

Each run is a process of its own, which copies an image between two registries on loopback. At one
of its requests, source or target goes away, forgets its upload sessions, and comes back.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from squashproxy.testing import FakeRegistry, LayerBuilder
from tests.pipeline.images import image_of, noise
from tests.pipeline.restarting import Restarting

_HUNG_SECONDS = 400.0
IMAGE = image_of(
    LayerBuilder().file("lower", noise(2 << 20, 1)).file("goes", noise(1 << 20, 2)),
    LayerBuilder().file("middle", noise(6 << 20, 3)),
    LayerBuilder().file("top", noise(1 << 20, 4)).whiteout("goes"),
)


class Ending(Enum):
    """How a run ended."""

    RIGHT = "right"
    CLEAR_ERROR = "clear error"
    WRONG = "wrong"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Command:
    """A copy as its own process, and the digest that it must give."""

    arguments: tuple[str, ...]
    digest: str

    def start(self, source: str, target: str) -> subprocess.Popen[str]:
        """Begin to copy."""
        line = [sys.executable, "-m", "squashproxy", "copy", *self.arguments, source, target]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ending_of(
    process: subprocess.Popen[str], tags: Callable[[str], dict[str, str]], digest: str
) -> Ending:
    """Wait for a copy, and judge its end by its exit code, its sentence and the target's tag."""
    try:
        _, said = process.communicate(timeout=_HUNG_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Ending.HUNG
    found = tags("app").get("1")
    is_clear = process.returncode == 1 and said.count("\n") == 1 and "this is a bug" not in said
    if process.returncode == 0 and found == digest:
        return Ending.RIGHT
    if process.returncode and is_clear and found is None:
        return Ending.CLEAR_ERROR
    show_wrong(f"exit code {process.returncode}, tag {found} instead of {digest}", said)
    return Ending.WRONG


def right_digest(arguments: tuple[str, ...]) -> str:
    """The digest of the same copy without a fault."""
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "1")
        process = Command(arguments, "").start(f"{old.host}/app:1", f"{new.host}/app:1")
        assert process.wait(_HUNG_SECONDS) == 0
        process.communicate()
        return new.tags("app")["1"]


def run(command: Command, side: str, seconds: float, at: int) -> Ending:
    """One copy during which `side` goes away at its request `at`, for some seconds."""
    with FakeRegistry() as old, FakeRegistry() as new:
        IMAGE.push(old, "app", "1")
        registry = Restarting(old if side == "source" else new, at)
        with command.start(f"{old.host}/app:1", f"{new.host}/app:1") as process:
            while process.poll() is None and not registry.is_down.wait(0.1):
                continue
            if registry.has_gone:
                time.sleep(seconds)
                registry.start()
            ending = ending_of(process, lambda path: dict(new.tags(path)), command.digest)
        registry.close()
        return ending


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 5, 10, 30, 60])
    parser.add_argument("--places", type=int, nargs="+", default=[3, 6, 9])
    arguments = parser.parse_args()
    command = Command(("--base", "1"), right_digest(("--base", "1")))
    write_row("restart of", "seconds away", "runs", *(each.value for each in Ending))
    write_row("---", "--:", *["--:"] * (len(Ending) + 1))
    for side in ("source", "target"):
        for seconds in arguments.seconds:
            found = Counter(run(command, side, seconds, at) for at in arguments.places)
            write_row(side, f"{seconds:g}", found.total(), *(found[each] for each in Ending))


def write_row(*cells: Any) -> None:
    """Print a row of a Markdown table."""
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)  # noqa: T201 - its output


def show_wrong(*facts: object) -> None:
    """Say on standard error what was wrong in a run, for whoever looks for the cause."""
    print("wrong:", *facts, sep="\n  ", file=sys.stderr, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
