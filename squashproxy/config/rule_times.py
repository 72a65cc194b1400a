"""When a rule runs by itself."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from squashproxy.rules.timetable import Timetable

_UTC = ZoneInfo("UTC")


def timetable_of(
    schedule: str | None, every: float | None, zone: ZoneInfo | None, jitter: float
) -> Timetable | None:
    """The times of a rule, None for one that only a person runs."""
    if schedule is None and every is None:
        return None
    return Timetable(schedule, every, zone or _UTC, jitter)
