"""The schedule of a rule."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from squashproxy.rules.timetable import Timetable

_UTC = ZoneInfo("UTC")


def timetable_of(
    schedule: str | None, every: float | None, zone: ZoneInfo | None, jitter: float
) -> Timetable | None:
    """The timetable of a rule; None for a rule without a schedule."""
    if schedule is None and every is None:
        return None
    return Timetable(schedule, every, zone or _UTC, jitter)
