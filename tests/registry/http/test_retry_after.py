"""Retry-After is understood, or ignored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.registry.http.retry_after import parse_retry_after, span_text

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNIX = int(NOW.timestamp())

VALUES: dict[str, tuple[str, float | None]] = {
    "seconds": ("7", 7.0),
    "none": ("0", 0.0),
    "blanks": ("  7 ", 7.0),
    "a fraction": ("1.5", 1.5),
    "a day": ("86400", 86400.0),
    "thirty years": ("1000000000", 1e9),
    "a hundred years and more": ("9999999999", 9999999999.0),
    "eighteen digits": ("9" * 18, 1e18),
    "nineteen digits": ("9" * 19, None),
    "five thousand digits": ("9" * 5000, None),
    "a unix time": (str(UNIX + 30), 30.0),
    "a unix time that has just passed": (str(UNIX - 30), 0.0),
    "a unix time in ten years": (str(UNIX + 315_360_000), 315_360_000.0),
    "a unix time in milliseconds": (str((UNIX + 30) * 1000), 30.0),
    "negative": ("-1", None),
    "a sign": ("+7", None),
    "an exponent": ("1e9", None),
    "not a number": ("nan", None),
    "infinity": ("inf", None),
    "Arabic digits": ("٣", None),
    "nothing": ("", None),
    "a word": ("soon", None),
    "two values": ("7, 8", None),
    "a date": ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
    "a date of RFC 850": ("Tuesday, 24-Nov-26 12:00:30 GMT", 30.0),
    "a date of asctime": ("Tue Nov 24 12:00:30 2026", 30.0),
    "a date with an offset": ("Tue, 24 Nov 2026 13:00:30 +0100", 30.0),
    "a date that has passed": ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
    "the year 9999": ("Fri, 31 Dec 9999 23:59:59 GMT", 251_606_779_199.0),
    "the year 9999, west of it": ("Fri, 31 Dec 9999 23:59:59 -2359", 251_606_865_539.0),
    "the year 1": ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    "the year 10000": ("Fri, 31 Dec 10000 23:59:59 GMT", None),
    "an hour of twelve digits": ("Wed, 21 Oct 2026 099999999999:28:00 GMT", None),
    "an hour that is none": ("Wed, 21 Oct 2026 25:28:00 GMT", None),
    "a day of twenty digits": ("Wed, 99999999999999999999 Oct 2026 07:28:00 GMT", None),
    "a day that is none": ("Wed, 31 Feb 2026 07:28:00 GMT", None),
    "a month that is none": ("Wed, 21 Foo 2026 07:28:00 GMT", None),
    "a year of thousands of digits": (f"Wed, 21 Oct {'2' * 5000} 07:28:00 GMT", None),
    "an offset that is none": ("Wed, 21 Oct 2026 07:28:00 +9999", None),
    "an offset of many digits": (f"Wed, 21 Oct 2026 07:28:00 +{'9' * 40}", None),
    "another form of date": ("2026-11-24T12:00:30Z", None),
}


@pytest.mark.parametrize(("text", "seconds"), VALUES.values(), ids=VALUES)
def test_values_are_understood_or_ignored(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


ODD = st.text(alphabet="0123456789 ,:-+.GMTUCWedOctNov", max_size=40)
DATES = st.from_regex(
    r"(Wed, )?[0-9]{1,20} (Oct|Feb|Foo) [0-9]{1,20} [0-9]{1,20}:[0-9]{1,4}:[0-9]{1,4} "
    r"(GMT|[+-][0-9]{4}|X)",
    fullmatch=True,
)


@given(st.text(max_size=40) | ODD | DATES)
def test_every_value_is_understood_or_ignored(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 1e18


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001
def test_every_date_is_understood(moment: datetime) -> None:
    text = moment.strftime(f"%a, %d %b {moment.year:04} %H:%M:%S GMT")
    ahead = moment.replace(microsecond=0, tzinfo=UTC) - NOW
    # Years below 100 are two digits to the library, whatever stands before them.
    if moment.year > 99:
        assert parse_retry_after(text, NOW) == max(ahead / timedelta(seconds=1), 0.0)


SPANS: dict[str, tuple[float, str]] = {
    "no time": (0.0, "0 seconds"),
    "a second": (1.0, "1 second"),
    "seconds": (90.0, "90 seconds"),
    "minutes": (900.0, "15 minutes"),
    "hours": (6 * 3600.0, "6 hours"),
    "days": (3 * 86400.0, "3 days"),
    "years": (1e9, "32 years"),
    "the year 9999": (251_606_779_199.0, "7973 years"),
}


@pytest.mark.parametrize(("seconds", "text"), SPANS.values(), ids=SPANS)
def test_spans_are_told_in_their_largest_unit(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
