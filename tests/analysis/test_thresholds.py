"""Thresholds: which figure, compared how, with what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from squashproxy.analysis.thresholds import parse_threshold
from squashproxy.config.values import parse_size
from tests.report.results import PLAN

PLATFORM = replace(PLAN.platforms[0], total_hidden=20_000_000, efficiency=0.9, secrets=3)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("hidden>20MB", False),
        ("hidden>=20MB", True),
        ("hidden>19.9MB", True),
        ("hidden>20MiB", False),
        ("hidden<20MB", False),
        ("hidden<=20MB", True),
        ("hidden>0", True),
        (" hidden > 20000000 ", False),
        ("efficiency<0.9", False),
        ("efficiency<=.9", True),
        ("efficiency<1", True),
        ("secrets>2", True),
        ("secrets>3", False),
        ("secrets>=0", True),
    ],
)
def test_a_threshold(text: str, passed: bool) -> None:
    assert parse_threshold(text, parse_size).is_passed_by(PLATFORM) == passed
