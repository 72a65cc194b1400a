"""The benchmark of a promotion in which nothing changed still runs, and asks twice for a tag."""

from __future__ import annotations

import pytest

from tests.bench.steady import steady, to_markdown


@pytest.mark.long
def test_a_second_run_asks_twice_for_each_tag() -> None:
    costs = steady(4, 25)
    assert [cost.requests for cost in costs.values()] == [300, 200, 200, 200]
    assert "| second run | 2.00 |" in to_markdown(costs, 4, 25)
