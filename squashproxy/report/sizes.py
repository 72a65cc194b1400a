"""Sizes for people: decimal units (1 MB = 10^6 bytes), three significant digits."""

from __future__ import annotations

import math

UNIT_NOTE = "1 MB = 1,000,000 bytes"
ESTIMATED_NOTE = "~ marks estimates: known layers were not read; exact by --layer-memory none"
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_ROUNDS_UP = 999.5
"""From this value on, three digits would round up to 1000."""
_STEP = 1000


def size_text(size: int | None) -> str:
    """`size` bytes, as in `54.3 MB`; `-` for None."""
    if size is None:
        return "-"
    if abs(size) < _STEP:
        return f"{size} B"
    power = 1
    while abs(size) / _STEP**power >= _ROUNDS_UP and power < len(_UNITS):
        power += 1
    return f"{_three_digits(size / _STEP**power)} {_UNITS[power - 1]}"


def share_text(part: int, whole: int) -> str:
    """`part` of `whole` in per cent, as in `42 %`; empty where there is no whole."""
    return f"{round(100 * part / whole)} %" if whole else ""


def efficiency_text(efficiency: float) -> str:
    """A share from 0 to 1 in per cent with one decimal, as in `98.7 %`.

    It is rounded down, so that `100.0 %` means that nothing is hidden.
    """
    return f"{math.floor(efficiency * 1000) / 10:.1f} %"


def count_text(count: int, noun: str) -> str:
    """A number with its noun, as in `1 layer`, `12 layers`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _three_digits(value: float) -> str:
    for decimals in (2, 1):
        text = f"{value:.{decimals}f}"
        if sum(character.isdigit() for character in text) <= 3:
            return text
    return f"{value:.0f}"
