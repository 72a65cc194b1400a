"""Distinct bytes in the target against those of plain copies, for people."""

from __future__ import annotations

from squashproxy.report.sizes import size_text

APART = "mode: prune keeps them shared"
"""The advice for images that were squashed."""
PRUNED = "base_repos keeps the layers of bases shared"
"""The advice for images that were pruned."""


def distinct_text(before: int, after: int, advice: str = APART) -> str:
    """What images hold in the target, each layer once, where plain copies would hold `before`.

    Where they hold visibly more, `advice` says how layers stay shared.
    """
    held, plain = size_text(after), size_text(before)
    text = f"{held} instead of {plain} for plain copies, each layer once"
    if after <= before or held == plain:
        return text
    more = size_text(after - before)
    return f"{text}: {more} more, since layers that images shared became different; {advice}"
