"""Work side by side: in batches as one by one, every item counts once and keeps its place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from squashproxy.catalog.tags import AT_ONCE, batches_side_by_side
from squashproxy.progress import Task

COUNTS = {
    "nothing": 0,
    "one item": 1,
    "fewer items than threads": AT_ONCE - 1,
    "two items for each thread": 2 * AT_ONCE,
    "batches that do not come out even": 2 * AT_ONCE * 7 + 5,
    "full batches": 2 * AT_ONCE * 40 + 1,
}


class Counted:
    """A tally that adds up what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.done = 0

    def start(self, label: str, total: int) -> Task:
        self.told.append((label, total))
        return self

    def advance(self, count: int) -> None:
        self.done += count

    def finish(self, outcome: str = "") -> None:
        self.told.append((outcome, self.done))


@pytest.mark.parametrize("count", COUNTS.values(), ids=COUNTS)
def test_results_of_batches_stand_in_the_order_of_their_items(count: int) -> None:
    sizes: list[int] = []

    def double(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return [2 * item for item in batch]

    assert batches_side_by_side(double, range(count)) == [2 * item for item in range(count)]
    assert sum(sizes) == count
    assert len(sizes) >= min(count, AT_ONCE), "every thread had something to do"


def test_progress_counts_items_and_not_batches() -> None:
    counted = Counted()
    batches_side_by_side(list, range(1000), tally=counted.start, label="compared")
    assert counted.told[0] == ("compared", 1000)
    assert counted.done == 1000


def test_the_error_of_a_batch_ends_the_work_and_is_raised() -> None:
    begun: list[int] = []

    def refuse(batch: Sequence[int]) -> list[int]:
        begun.extend(batch)
        raise ValueError(f"no {batch[0]}")

    with pytest.raises(ValueError, match=r"^no 0$"):
        batches_side_by_side(refuse, range(10_000))
    assert len(begun) <= AT_ONCE * 32
