"""Random stacks by batches: the first of them in every run, the others with `--long`."""

from __future__ import annotations

import pytest

BATCH = 100
"""So many stacks are one test."""


def each_batch(stacks: int, *, always: int) -> pytest.MarkDecorator:
    """Parametrize `first`, the number of a batch's first stack, for `stacks` in all.

    Those from the number `always` on are longer proofs, which run with `--long` alone.
    """
    return pytest.mark.parametrize(
        "first",
        [
            pytest.param(first, marks=[] if first < always else [pytest.mark.long])
            for first in range(0, stacks, BATCH)
        ],
    )
