"""Applying a plan that nobody looks at: a repository that moved since is planned again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from squashproxy.cleanup.applying import Applier
from squashproxy.cleanup.cleaning import Planner
from squashproxy.cleanup.plans import RepositoryPlan, RulePlan
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import parse_repository

_MORE_PLANS = 3


@dataclass(frozen=True, slots=True)
class FreshApplier:
    """Applies plans that were made by the same command.

    Planning many repositories takes a while, and those in use are pushed to meanwhile. Since nobody
    has agreed to this very plan, a new one does as well, within the rule's bounds.
    """

    applier: Applier
    planner: Planner
    options: CopyOptions

    def apply(self, plan: RulePlan, rule: CleanupRule) -> list[RepositoryResult]:
        """Apply the plan of a rule, one repository after another.

        Raises PlanRefused where the plan is refused as a whole.
        """
        if plan.refusal is not None:
            raise PlanRefused(plan.refusal)
        spare = None if rule.max_deletions is None else rule.max_deletions - plan.deletions
        results = []
        for each in plan.repositories:
            result, spare = self._apply(each, rule, spare)
            results.append(result)
        return results

    def _apply(
        self, plan: RepositoryPlan, rule: CleanupRule, spare: int | None
    ) -> tuple[RepositoryResult, int | None]:
        """What became of a repository, and what is left of the rule's `max_deletions` then."""
        attempt = self.applier.apply(rule.name, plan, self.options)
        result = attempt.result
        allowed = plan.deletions
        for _ in range(_MORE_PLANS):
            if not attempt.moved:
                break
            plan = self.planner.plan_again(parse_repository(plan.repository), rule)
            more = max(0, result.changes + plan.deletions - allowed)
            if spare is not None:
                if more > spare:
                    return replace(result, problem=_beyond(plan, rule)), spare
                spare -= more
            allowed += more
            attempt = self.applier.apply(rule.name, plan, self.options)
            result = _joined(result, attempt.result)
        return result, spare


def _joined(first: RepositoryResult, then: RepositoryResult) -> RepositoryResult:
    return replace(
        then,
        steps=(*first.steps, *then.steps),
        freed_bytes=first.freed_bytes + then.freed_bytes,
        saved_bytes=first.saved_bytes + then.saved_bytes,
    )


def _beyond(plan: RepositoryPlan, rule: CleanupRule) -> str:
    return (
        f"{plan.repository} moved since it was planned, and {plan.deletions} deletions there would "
        f"be more than the max_deletions of {rule.name}, {rule.max_deletions}, allows; plan again"
    )
