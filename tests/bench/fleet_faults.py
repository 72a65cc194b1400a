"""Faults of brokers and workers, many times each: `python -m tests.bench.fleet_faults [ROUNDS]`.

Writes a table of what became of the jobs, and ends with 1 where one was lost, run by two workers at
once, or left standing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fleet.faults import FAULTS, Tally, play

_HEAD = (
    "| fault | rounds | jobs | done | parked | begun again | lost | two at once | standing | s |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def main(rounds: int, chosen: str = "") -> int:
    """Play each fault whose name contains `chosen` so many times."""
    _say(_HEAD)
    wrong = 0
    for name, fault in FAULTS.items():
        if chosen not in name:
            continue
        total = Tally()
        for seed in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                found = play(fault, seed, Path(folder))
            if not found.is_right:
                wrong += 1
                sys.stderr.write(f"{name}, seed {seed}: {found}\n")
            total += found
        _say(
            f"| {name} | {rounds} | {total.submitted} | {total.done} | {total.parked} "
            f"| {total.again} | {total.failed} | {total.overlaps} | {total.stuck} "
            f"| {total.seconds / rounds:.1f} |"
        )
    return 1 if wrong else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, " ".join(sys.argv[2:])))
