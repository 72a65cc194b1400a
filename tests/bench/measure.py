"""One run of one command: time, processor, memory, and the bytes that went over the wire."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_TIME = "/usr/bin/time"
"""A process of its own size would stand in the peak: memory is counted from the fork on."""

_LOOPBACK = Path("/sys/class/net/lo/statistics/rx_bytes")
_ANSWERED = re.compile(rb'" \d{3} (\d+) "')


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of wall and processor, peak and moved sizes in bytes.

    `peak` is the largest resident size of the command; `down` is what the source registry sent,
    `up` all that went over loopback besides. `output` is what the command printed.
    """

    wall: float
    cpu: float
    peak: int
    down: int
    up: int
    output: str


class Failed(Exception):
    """A command of the benchmark did not work."""


def measure(command: Sequence[str], source_log: Path) -> Run:
    """Run `command`; `source_log` is the access log of the source registry. Raises Failed."""
    logged, moved = source_log.stat().st_size, _moved()
    with tempfile.NamedTemporaryFile("r") as usage:
        timed = [_TIME, "-q", "-o", usage.name, "-f", "%U %S %M", *command]
        begun = time.perf_counter()
        done = subprocess.run(timed, capture_output=True, check=False)
        wall = time.perf_counter() - begun
        if done.returncode:
            said = done.stderr.decode(errors="replace")[-2000:]
            raise Failed(f"{' '.join(command)}: exit code {done.returncode}: {said}")
        user, system, peak = usage.read().split()
    down = _sent(source_log, logged)
    up = max(0, _moved() - moved - down)
    cpu = float(user) + float(system)
    return Run(wall, cpu, int(peak) << 10, down, up, done.stdout.decode())


def middle(runs: Sequence[Run]) -> Run:
    """The median of every figure by itself."""
    return Run(
        median(run.wall for run in runs),
        median(run.cpu for run in runs),
        round(median(run.peak for run in runs)),
        round(median(run.down for run in runs)),
        round(median(run.up for run in runs)),
        runs[-1].output,
    )


def _moved() -> int:
    return int(_LOOPBACK.read_text())


def _sent(log: Path, start: int) -> int:
    """The bytes of all answers that the log tells of from `start` on."""
    with log.open("rb") as lines:
        lines.seek(start)
        return sum(int(found[1]) for found in map(_ANSWERED.search, lines) if found)
