"""Ranges of versions."""

from __future__ import annotations

import pytest

from squashproxy.errors import UsageError
from squashproxy.selection.versions import parse_range, version_of

HOLDS = [
    (">=1.2", "v1.2", True),
    (">=1.2", "1.1.9", False),
    (">=1.2, <2", "1.9", True),
    ("^1", "2.0.0", False),
    ("~1.4", "1.4.9", True),
    (">=1.2", "1.3.0-rc1", False),
    (">=1.3.0-rc0", "1.3.0-rc1", True),
    (">=1 <2 || ^3", "3.1", True),
    ("*", "latest", False),
    ("*", "sha256-abc", False),
]


@pytest.mark.parametrize(("text", "tag", "expected"), HOLDS)
def test_ranges(text: str, tag: str, expected: bool) -> None:
    assert parse_range(text).holds(tag) is expected


@pytest.mark.parametrize("text", ["one", "=>1", ">=1.2.3.4", "a - b", "1 - b", "a - 2"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(UsageError, match="no range of versions"):
        parse_range(text)


def test_a_short_version_is_filled_up() -> None:
    assert str(version_of("v7")) == "7.0.0"
