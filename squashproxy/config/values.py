"""Sizes, rates and durations as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(s|m|h)")
_MOST_SIZE = 1 << 63
_MOST_SECONDS = 100 * 365 * 86400.0
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(text: str) -> int:
    """Parse a size in bytes: `1048576`, `500M` (10^6), `2GiB` or `2Gi`. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is not a size; write bytes, or a number as in 500M or 2GiB")
    unit = 1024 if match[3] else 1000
    size = float(match[1]) * unit ** _POWERS[match[2].lower()]
    if not 1 <= size < _MOST_SIZE:
        raise ValueError(
            f"{text!r} is not a usable size; it must be at least one byte and less than 8 EiB"
        )
    return int(size)


def parse_limit(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    """A parser of limits: `none` stands for no limit."""

    def read(text: str) -> T | None:
        return None if text == "none" else parse(text)

    return read


def parse_rate(text: str) -> float:
    """Parse a rate in requests a second: `50/s`, `100/m` or `5000/h`. Raises ValueError."""
    match = _RATE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"{text!r} is no rate; write a number and a unit, as in 50/s or 100/m")
    return float(match[1]) / _SECONDS[match[2]]


def parse_duration(text: str) -> float:
    """Parse a duration in seconds: `500ms`, `25s`, `10m`, `1h` or `7d`. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no duration; write a number and a unit, as in 30s, 10m or 7d"
        )
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _MOST_SECONDS:
        raise ValueError(f"{text!r} is more than a hundred years; write a shorter duration")
    return seconds
