"""The thresholds that a plan exceeds, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from squashproxy.analysis.thresholds import Figure, Threshold
from squashproxy.pipeline.results import PlanResult, PlatformPlan
from squashproxy.report.sizes import count_text, efficiency_text, size_text


def iter_violations(result: PlanResult, thresholds: Sequence[Threshold]) -> Iterator[str]:
    """Yield a sentence for each platform that exceeds a threshold; one if nothing was measured."""
    if thresholds and not result.platforms:
        yield f"{result.source}: no image could be measured, so it fails the thresholds"
    for threshold in thresholds:
        for plan in result.platforms:
            if threshold.is_passed_by(plan):
                yield (
                    f"{result.source}, {plan.platform}: {_finding(threshold, plan)}; "
                    f"the threshold '{threshold.text}' forbids that"
                )


def _finding(threshold: Threshold, plan: PlatformPlan) -> str:
    match threshold.figure:
        case Figure.HIDDEN:
            return f"upper layers hide {size_text(plan.total_hidden)} ({plan.total_hidden:,} bytes)"
        case Figure.EFFICIENCY:
            return f"the efficiency is {efficiency_text(plan.efficiency)}"
        case Figure.SECRETS:
            if plan.secrets == 1:
                return "a file that was deleted or replaced still ships and looks secret"
            files = count_text(plan.secrets, "file")
            return f"{files} that were deleted or replaced still ship and look secret"
