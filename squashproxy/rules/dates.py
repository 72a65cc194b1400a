"""Dates of images that can be meant."""

from __future__ import annotations

_AHEAD = 86400.0
"""Seconds by which clocks of machines that build images may be ahead."""


def is_ahead(moment: float | None, now: float) -> bool:
    """Whether a date, in unix seconds, lies so far in the future that a clock was wrong."""
    return moment is not None and moment > now + _AHEAD


def believable(moment: float | None, now: float) -> float | None:
    """The date, None where nobody can have meant it: it would be the newest for ever."""
    return None if is_ahead(moment, now) else moment
