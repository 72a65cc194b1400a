"""Sizes are read by people: decimal units, three digits, never four."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.report.sizes import count_text, efficiency_text, share_text, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        pytest.param(None, "-", id="unknown"),
        pytest.param(0, "0 B", id="nothing"),
        pytest.param(999, "999 B", id="bytes-are-exact"),
        pytest.param(1_000, "1.00 kB", id="one-kB"),
        pytest.param(9_999, "10.0 kB", id="rounding-keeps-three-digits"),
        pytest.param(54_321_000, "54.3 MB", id="MB"),
        pytest.param(999_900, "1.00 MB", id="rounding-moves-to-the-next-unit"),
        pytest.param(123_400_000_000, "123 GB", id="no-decimals-for-hundreds"),
        pytest.param(-2_500_000, "-2.50 MB", id="grown"),
    ],
)
def test_size(size: int | None, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(min_value=1_000, max_value=10**17))
def test_every_size_has_three_digits_and_is_within_half_a_per_cent(size: int) -> None:
    number, unit = size_text(size).split()
    power = ["B", "kB", "MB", "GB", "TB", "PB"].index(unit)
    assert sum(character.isdigit() for character in number) == 3
    assert abs(float(number) * 1000**power - size) <= size * 0.005


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        pytest.param(1, 4, "25 %", id="a-quarter"),
        pytest.param(-1, 4, "-25 %", id="grown"),
        pytest.param(0, 0, "", id="of-nothing"),
    ],
)
def test_share(part: int, whole: int, text: str) -> None:
    assert share_text(part, whole) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 layers"), (1, "1 layer"), (2, "2 layers"), (18_331, "18,331 layers")],
)
def test_count(count: int, text: str) -> None:
    assert count_text(count, "layer") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.0 %"), (0.99999, "99.9 %"), (0.9, "90.0 %"), (0.0, "0.0 %")],
)
def test_an_efficiency_reads_100_only_where_nothing_is_hidden(share: float, text: str) -> None:
    assert efficiency_text(share) == text
