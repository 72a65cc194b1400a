"""Sums of the tables of faults that lie in `tables/`, by verb and registry and by kind of fault.

    python -m tests.bench.fault_sums [--readme]

Each file there is what one of the commands printed, which its first line names. With --readme, the
sums also go into the README.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.places import FAKE
from tests.bench.readme import write_table
from tests.real.makes import MAKES

TABLES = Path(__file__).parent / "tables"
NAME = "faults benchmark"
_COUNTS = ("runs", "right", "clear error", "wrong", "hung")
_VERBS = {
    "faults": "copy (squash, prune, copy)",
    "serve_faults": "serve",
}
_ORDER = (*_VERBS.values(), "promote", "cleanup that deletes", "cleanup that squashes")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its verb, the make of its registries, and the kind of fault."""

    verb: str
    registry: str
    fault: str
    counts: tuple[int, ...]


def rows(folder: Path = TABLES) -> list[Row]:
    """The rows of all tables."""
    return [row for path in sorted(folder.glob("*.md")) for row in _rows_of(path.read_text())]


def _rows_of(text: str) -> Iterator[Row]:
    command, *lines = text.splitlines()
    words = command.strip("`").split()
    registry = words[words.index("--registry") + 1]
    head, _, *body = [line for line in lines if line.startswith("|")]
    names = _cells(head)
    for line in body:
        cells = dict(zip(names, _cells(line), strict=True))
        verb = cells.get("verb") or _VERBS[words[2].rpartition(".")[2]]
        yield Row(verb, registry, cells["fault"], tuple(int(cells[name]) for name in _COUNTS))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def to_markdown(found: list[Row]) -> str:
    """Both tables."""
    by_verb: dict[tuple[str, ...], list[tuple[int, ...]]] = defaultdict(list)
    by_kind: dict[tuple[str, ...], list[tuple[int, ...]]] = defaultdict(list)
    for row in sorted(found, key=lambda row: (_ORDER.index(row.verb), _place_of(row.registry))):
        by_verb[row.verb, row.registry].append(row.counts)
    for row in found:
        by_kind[(row.fault,)].append(row.counts)
    lines = [*_table(("verb", "registry"), by_verb), "", *_table(("fault",), by_kind)]
    return "\n".join(lines) + "\n"


def _place_of(registry: str) -> int:
    return (FAKE, *MAKES).index(registry)


def _table(
    names: tuple[str, ...], groups: Mapping[tuple[str, ...], list[tuple[int, ...]]]
) -> Iterator[str]:
    yield f"| {' | '.join((*names, *_COUNTS))} |"
    yield f"|{'---|' * len(names)}{'--:|' * len(_COUNTS)}"
    for key, counts in groups.items():
        sums = (f"{sum(column):,}" for column in zip(*counts, strict=True))
        yield f"| {' | '.join((*key, *sums))} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--readme", action="store_true", help="also write them into the README")
    arguments = parser.parse_args()
    table = to_markdown(rows())
    print(table, end="")  # noqa: T201 - its output
    if arguments.readme:
        write_table(NAME, table)


if __name__ == "__main__":
    main()
