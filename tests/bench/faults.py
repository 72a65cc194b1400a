"""The table of faults: copies in each direction against registries that fail, by seeds.

    python -m tests.bench.faults [--runs 50] [--seed 1] [--registry distribution2]

Each run is a process of its own. One to three faults of one kind meet the source or the target, at
places that the seed chooses; each passes, as a broken connection does. So a run should end right.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from squashproxy.testing import Fault, FaultKind
from tests.bench.outages import IMAGE, Command, Ending, ending_of, right_digest, write_row
from tests.bench.places import Place, add_registry_option, new_place

READS = ("GET", "HEAD")
WRITES = ("POST", "PATCH", "PUT", "HEAD")
_PLACES = 2 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: `make` makes one for a method, at a place that chance gives."""

    name: str
    make: Callable[[random.Random, str], Fault]
    methods: tuple[str, ...] = (*READS, *WRITES)

    def arm(self, place: Place, methods: Sequence[str], chance: random.Random) -> None:
        """Let one to three faults of the kind wait there for requests with these methods."""
        for _ in range(chance.randint(1, 3)):
            place.faulty.arm(self.make(chance, chance.choice(methods)))


def _place(chance: random.Random) -> int:
    return chance.choice((0, 1, chance.randrange(400), chance.randrange(_PLACES)))


def _cutting(kind: FaultKind) -> Callable[[random.Random, str], Fault]:
    def make(chance: random.Random, method: str) -> Fault:
        return Fault(method, "", kind, after_bytes=_place(chance), skip=chance.randrange(4))

    return make


def _answering(*statuses: int) -> Callable[[random.Random, str], Fault]:
    def make(chance: random.Random, method: str) -> Fault:
        status = chance.choice(statuses)
        return Fault(method, "", status=status, skip=chance.randrange(4), times=3)

    return make


KINDS = (
    Kind("no answer", _cutting(FaultKind.DROP)),
    Kind("an answer that is lost", _cutting(FaultKind.LOSE_ANSWER)),
    Kind("an answer cut by a clean close", _cutting(FaultKind.SEVER)),
    Kind("an answer cut by a reset", _cutting(FaultKind.RESET)),
    Kind("a request that breaks off", _cutting(FaultKind.DROP_REQUEST), ("PATCH", "PUT")),
    Kind("a body that breaks off", _cutting(FaultKind.DROP_RESPONSE), ("GET",)),
    Kind("a body cut with a length to match", _cutting(FaultKind.CUT), ("GET",)),
    Kind("a flipped bit", _cutting(FaultKind.CORRUPT), ("GET",)),
    Kind("500", _answering(500)),
    Kind("502, 503, 504", _answering(502, 503, 504)),
    Kind("429", _answering(429)),
)
DIRECTIONS: dict[str, tuple[str, ...]] = {
    "squash": ("--base", "1"),
    "prune": ("--mode", "prune", "--base", "1"),
    "copy": ("--mode", "copy"),
}


def run(command: Command, kind: Kind, side: str, make: str, chance: random.Random) -> Ending:
    """One copy that meets faults of a kind at one side, between two registries of a make."""
    methods = [each for each in kind.methods if each in (READS if side == "source" else WRITES)]
    with new_place(make) as old, new_place(make) as new:
        IMAGE.push(old.images, "app", "1")
        kind.arm(old if side == "source" else new, methods, chance)
        with command.start(f"{old.host}/app:1", f"{new.host}/app:1") as process:
            return ending_of(process, new.tags, command.digest)


def add_options(parser: argparse.ArgumentParser, runs: int) -> None:
    """The options of all tables of faults; `runs` is the usual number of runs of a row."""
    parser.add_argument("--runs", type=int, default=runs, help="for each row")
    parser.add_argument("--seed", type=int, default=1)
    names = [kind.name for kind in KINDS]
    parser.add_argument("--kind", choices=names, action="append", help="by default all")
    add_registry_option(parser)


def chosen_kinds(arguments: argparse.Namespace) -> Sequence[Kind]:
    """The kinds that `--kind` names."""
    return [kind for kind in KINDS if not arguments.kind or kind.name in arguments.kind]


def write_command(
    name: str, arguments: argparse.Namespace, choices: Mapping[str, Sequence[str] | None] = {}
) -> None:
    """Print the command that makes the same table, and an empty line."""
    options = f"--runs {arguments.runs} --seed {arguments.seed} --registry {arguments.registry}"
    for option, values in {**choices, "kind": arguments.kind}.items():
        options += "".join(f" --{option} {value!r}" for value in values or ())
    print(f"`python -m tests.bench.{name} {options}`\n")  # noqa: T201 - its output


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_options(parser, 50)
    arguments = parser.parse_args()
    commands = [Command(each, right_digest(each)) for each in DIRECTIONS.values()]
    write_command("faults", arguments)
    write_row("fault", "at", "runs", *(each.value for each in Ending))
    write_row("---", "---", *["--:"] * (len(Ending) + 1))
    for kind in chosen_kinds(arguments):
        for side in ("source", "target"):
            if not set(kind.methods) & set(READS if side == "source" else WRITES):
                continue
            chance = random.Random(f"{arguments.seed} {kind.name} {side}")
            found = Counter(
                run(commands[number % len(commands)], kind, side, arguments.registry, chance)
                for number in range(arguments.runs)
            )
            write_row(kind.name, side, found.total(), *(found[each] for each in Ending))


if __name__ == "__main__":
    main()
