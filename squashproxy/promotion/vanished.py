"""Promoted images that something deletes at the target again and again."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.promotion.plan import RuleSteps
from squashproxy.promotion.results import ImageOutcome
from squashproxy.state.promotions import PromotionMemory


def recurring(found: RuleSteps, memory: PromotionMemory) -> Iterator[str]:
    """Yield a sentence if images that the rule promoted before are gone from their target.

    Once, that can be an accident. If a cleanup rule contradicts this rule, it happens in every run,
    and each run copies the images again.
    """
    absent = [
        step.target
        for step in found.steps
        if step.outcome == ImageOutcome.COPY and step.existing is None
    ]
    known = {each.target for each in memory.all_of(found.rule.name)} if absent else set()
    gone = [target for target in absent if target in known]
    if gone:
        more = len(gone) - 1
        what = (
            f"{gone[0]} and {more:,} more were promoted before and are gone, so they are"
            if more
            else f"{gone[0]} was promoted before and is gone, so it is"
        )
        yield (
            f"{found.rule.name}: {what} promoted again; where a cleanup takes it away each time, "
            "let that keep it, or leave it out in `tags` here"
        )
