"""Schedules: the times at which a rule is due, by cron or at intervals, with jitter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_SOME_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - of any zone: it is asked whether days ever come
_SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = 5


def parse_cron(text: str) -> str:
    """Parse five cron fields, or `@daily` and the like. Raises ValueError."""
    fields = _SHORTCUTS.get(text.strip(), text).split()
    if len(fields) != _FIELDS:
        raise ValueError(f"{text!r} is no schedule; write five fields as cron has them: 0 3 * * *")
    written = " ".join(fields)
    try:
        next(CronSim(written, _SOME_DAY))
    except CronSimError as error:
        reason = str(error).lower()
        raise ValueError(
            f"{text!r} is no schedule that ever comes: {reason}; mend that field"
        ) from error
    except StopIteration:
        raise ValueError(f"{text!r} never comes; choose a day that exists") from None
    return written


def parse_zone(text: str) -> ZoneInfo:
    """Parse a time zone such as Europe/Berlin. Raises ValueError for an unknown one."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{text!r} is no time zone that is known here; write one such as Europe/Berlin or UTC"
        ) from error


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a rule is due: by `cron` in a time zone, or at an interval in seconds.

    Each time is delayed by up to `jitter` seconds. The delay is always the same for the same rule
    and time, so that many machines do not ask a registry at once and a restart changes nothing.
    """

    cron: str | None
    every: float | None
    zone: tzinfo
    jitter: float = 0.0

    def next_after(self, moment: float, name: str) -> float:
        """The first time that is due after `moment`, in unix seconds; `name` is the rule's."""
        due = self._planned_after(moment - self.jitter)
        while (found := due + self._put_off(due, name)) <= moment:
            due = self._planned_after(due)
        return found

    def _planned_after(self, moment: float) -> float:
        if self.every is not None:
            return (moment // self.every + 1) * self.every
        assert self.cron is not None, "a timetable has one of both"
        local = datetime.fromtimestamp(moment, self.zone)
        return next(CronSim(self.cron, local)).timestamp()

    def _put_off(self, due: float, name: str) -> float:
        if not self.jitter:
            return 0.0
        digest = hashlib.sha256(f"{name} {due}".encode()).digest()
        return self.jitter * int.from_bytes(digest[:8]) / 2**64
