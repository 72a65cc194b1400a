"""The processor time of processes that run (Linux's /proc)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def group_seconds(group: int) -> float:
    """Of all processes of a group that run."""
    return _seconds_where(lambda folder: int(_fields(folder)[2]) == group)


def command_seconds(words: str) -> float:
    """Of all processes whose command line has these words."""
    return _seconds_where(
        lambda folder: words in (folder / "cmdline").read_text(errors="replace"),
    )


def _seconds_where(counts: Callable[[Path], bool]) -> float:
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if counts(folder):
                fields = _fields(folder)
                total += (int(fields[11]) + int(fields[12])) / _TICKS
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return total


def _fields(folder: Path) -> list[str]:
    """The fields of `stat` behind the name, which may hold anything."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
