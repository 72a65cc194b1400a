"""Plausible dates of images."""

from __future__ import annotations

_AHEAD = 86400.0
"""How far ahead the clock of a build machine may be, in seconds."""


def is_ahead(moment: float | None, now: float) -> bool:
    """Whether a date, in unix seconds, is so far ahead that a clock must have been wrong."""
    return moment is not None and moment > now + _AHEAD


def believable(moment: float | None, now: float) -> float | None:
    """The date; None where it is in the future, since such an image would be the newest forever."""
    return None if is_ahead(moment, now) else moment
