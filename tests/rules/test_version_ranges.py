"""Ranges of versions."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.rules.version_ranges import parse_range, version_of

HOLDS = [
    (">=1.2", "v1.2", True),
    (">=1.2", "1.1.9", False),
    (">=1.2, <2", "1.9", True),
    ("^1", "2.0.0", False),
    ("~1.4", "1.4.9", True),
    (">=1.2", "1.3.0-rc1", False),
    (">=1.3.0-rc0", "1.3.0-rc1", True),
    (">=1 <2 || ^3", "3.1", True),
    ("1.2 - 2", "2.9", True),
    ("1.2 - 2", "3.0", False),
    ("1.2  -  2", "1.2", True),
    ("1.x - 2.x", "2.1", True),
    (">=1  <2", "1.5", True),
    ("*", "latest", False),
    ("*", "sha256-abc", False),
]


@pytest.mark.parametrize(("text", "tag", "expected"), HOLDS)
def test_ranges(text: str, tag: str, expected: bool) -> None:
    assert parse_range(text).holds(tag) is expected


NO_RANGES: dict[str, str] = {
    "a word": "one",
    "a wrong sign": "=>1",
    "four numbers": ">=1.2.3.4",
    "letters beside a hyphen": "a - b",
    "a letter behind a hyphen": "1 - b",
    "a letter before a hyphen": "a - 1",
    "nothing behind a hyphen": "1 - ",
    "nothing before a hyphen": " - 1",
    "two hyphens": "1 - 2 - 3",
    "a sign beside a hyphen": ">=1 - 2",
    "two versions beside a hyphen": "1 2 - 3",
    "a hyphen in an alternative": "1 || a - b",
    "a v beside a hyphen": "v1 - 2",
    "a sign alone": ">=",
    "thousands of digits": "9" * 5000,
    "a number too many": "<1.2.3.",
    "Arabic digits": "٣",
    "a tilde before everything": "~*",
    "an empty identifier": "1.2.3-a..b",
}


@pytest.mark.parametrize("text", NO_RANGES.values(), ids=NO_RANGES)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="no range of versions"):
        parse_range(text)


def test_a_short_version_is_filled_up() -> None:
    assert str(version_of("v7")) == "7.0.0"


PIECES = [
    *("1", "1.2", "1.2.3", "0", "01", "*", "x", "a", "v", "-rc.1", "-", "+b", "٣"),
    *(" - ", "||", " ", ",", ">=", "<", "=", "^", "~", "\n", "9" * 5000),
]
RANGES = st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(max_size=20)
TAGS = st.sampled_from(["1.0", "v1.2.3", "2.0.0-rc1", "1.2.3-rc.1", "latest"]) | st.text(max_size=9)


@given(RANGES, TAGS)
def test_every_text_is_a_range_or_is_told(text: str, tag: str) -> None:
    with suppress(ValueError):
        assert parse_range(text).holds(tag) in (True, False)
