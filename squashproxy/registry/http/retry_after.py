"""The Retry-After header (RFC 9110, section 10.2.3): how long a registry asks to wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"([0-9]{1,18})(?:\.[0-9]{1,18})?")
_DATE = re.compile(
    r"(?:[A-Za-z]{3,9},? )?"
    r"(?:[0-9]{1,2}[ -][A-Za-z]{3}[ -][0-9]{2,4} [0-9]{1,2}:[0-9]{2}:[0-9]{2} "
    r"(?:GMT|UTC|UT|Z|[+-][0-9]{4})"
    r"|[A-Za-z]{3} [ 0-9]?[0-9] [0-9]{1,2}:[0-9]{2}:[0-9]{2} [0-9]{4})"
)
"""HTTP's date formats (section 5.6.7); the `email` package accepts more, and overflows."""

_DAY = 86400.0
_CENTURY = 36525 * _DAY
_MILLISECONDS = 1000
_SPANS = (
    (365.25 * _DAY, "years"),
    (_DAY, "days"),
    (3600.0, "hours"),
    (60.0, "minutes"),
)


def parse_retry_after(text: str, now: datetime) -> float | None:
    """The seconds from `now` that a value asks for; None if it is neither a number nor a date.

    Some registries send the time itself, in unix seconds or milliseconds. A number that is a time
    between yesterday and a hundred years from now is read so: as a number of seconds it would be
    more than half a century. A time that has passed gives 0.
    """
    text = text.strip()
    match = _SECONDS.fullmatch(text)
    if match is not None:
        seconds = float(text)
        for moment in (seconds, seconds / _MILLISECONDS):
            ahead = moment - now.timestamp()
            if -_DAY <= ahead <= _CENTURY:
                return max(ahead, 0.0)
        return seconds
    moment_of_date = _parse_date(text)
    if moment_of_date is None:
        return None
    return max((moment_of_date - now).total_seconds(), 0.0)


def span_text(seconds: float) -> str:
    """A duration for a sentence, in its largest unit, such as `90 seconds` or `31 years`."""
    for length, unit in _SPANS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"


def _parse_date(text: str) -> datetime | None:
    if _DATE.fullmatch(text) is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
