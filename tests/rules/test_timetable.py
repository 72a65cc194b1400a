"""When rules are due."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from squashproxy.rules.timetable import Timetable, parse_cron, parse_zone

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")


def at(text: str, zone: ZoneInfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def test_cron_goes_by_its_zone() -> None:
    nightly = Timetable(parse_cron("0 3 * * *"), None, BERLIN)
    assert nightly.next_after(at("2026-06-01T00:30:00"), "a") == at("2026-06-01T01:00:00")
    assert nightly.next_after(at("2026-12-01T00:30:00"), "a") == at("2026-12-01T02:00:00")


def test_an_hour_that_a_clock_change_takes_is_not_lost() -> None:
    nightly = Timetable(parse_cron("30 2 * * *"), None, BERLIN)
    found = nightly.next_after(at("2026-03-28T12:00:00"), "a")
    assert at("2026-03-29T00:00:00") < found < at("2026-03-29T12:00:00")


def test_intervals_are_even() -> None:
    often = Timetable(None, 600.0, UTC)
    first = often.next_after(1_000_000.0, "a")
    assert often.next_after(first, "a") == first + 600.0


def test_jitter_is_the_same_again_and_different_for_others() -> None:
    table = Timetable(parse_cron("0 * * * *"), None, UTC, 600.0)
    start = at("2026-01-01T00:30:00")
    due = [table.next_after(start, name) for name in "abcdef"]
    assert due == [table.next_after(start, name) for name in "abcdef"]
    assert len(set(due)) == 6
    assert all(0 <= each - at("2026-01-01T01:00:00") < 600 for each in due)


def test_no_time_is_skipped_nor_comes_twice_with_jitter() -> None:
    table = Timetable(parse_cron("*/10 * * * *"), None, UTC, 300.0)
    moment, seen = at("2026-01-01T00:00:00"), []
    while moment < at("2026-01-01T02:00:00"):
        moment = table.next_after(moment, "a")
        seen.append(int(moment // 600))
    assert seen == list(range(seen[0], seen[0] + len(seen)))


NEVER = {
    "": "is no schedule; write five fields",
    "* * * *": "is no schedule; write five fields",
    "61 * * * *": "is no schedule that ever comes: ",
    "a b c d e": "is no schedule that ever comes: ",
    "0 0 31 2 *": "that ever comes: bad day-of-month; mend that field",
    "0 0 30 2 *": "that ever comes: bad day-of-month; mend that field",
}


@pytest.mark.parametrize(("text", "words"), NEVER.items())
def test_what_never_comes_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_cron(text)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_zone("Mars/Base")
