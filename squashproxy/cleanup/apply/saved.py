"""Applying a saved plan as far as the rule still agrees.

A plan file may be old, edited or forged. So the repository is planned again first, and only steps
that are in both plans are done. If the rule now keeps something that the saved plan deletes,
nothing is done in that repository, and the message names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from squashproxy.catalog.tags import side_by_side
from squashproxy.cleanup.apply.agreement import CLOCK_SECONDS, Agreement
from squashproxy.cleanup.apply.apply import RepositoryApplier, untouched
from squashproxy.cleanup.plan import RepositoryPlan, RulePlan
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.cleanup.rule_planner import Planner, refusal_of
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused, SquashproxyError, UsageError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient


def check_saved(plan: RulePlan, rules: Sequence[CleanupRule], now: float) -> CleanupRule:
    """The rule that a saved plan was made by. Raises UsageError where plan and rule no longer
    match.

    Raises PlanRefused for a plan that is too old, or deletes more than the rule allows.
    """
    rule = _rule_of(plan, rules)
    if rule.action.value != plan.action:
        raise UsageError(
            f"the plan of {plan.rule} says {plan.action}, but the rule says {rule.action.value} "
            "now",
            advice="plan again",
        )
    for each in plan.repositories:
        if each.problem is not None:
            continue
        repository = parse_repository(each.repository)
        if not any(pattern.matches(repository) for pattern in rule.repositories):
            raise UsageError(
                f"the plan is about {each.repository}, which {rule.name} is not about",
                advice="plan again",
            )
    _check_age(plan, rule, now)
    refusal = refusal_of(plan, rule)
    if refusal is not None:
        raise PlanRefused(refusal)
    return rule


def _rule_of(plan: RulePlan, rules: Sequence[CleanupRule]) -> CleanupRule:
    for rule in rules:
        if rule.name == plan.rule:
            return rule
    there = ", ".join(rule.name for rule in rules) or "none"
    raise UsageError(f"the plan is of the rule {plan.rule}, but the file has {there}")


def _check_age(plan: RulePlan, rule: CleanupRule, now: float) -> None:
    age = now - plan.made
    if not age >= -CLOCK_SECONDS:
        raise PlanRefused(
            f"the plan of {plan.rule} has a date in the future",
            advice="set this machine's clock, or plan again",
        )
    if age > rule.max_plan_age:
        raise PlanRefused(
            f"the plan of {plan.rule} is {age / 3600:,.1f} hours old, more than its max_plan_age "
            f"of {rule.max_plan_age / 3600:,.1f}",
            advice="plan again",
        )


@dataclass(frozen=True, slots=True)
class SavedApplier:
    """Applies saved plans that `check_saved` accepted."""

    client: RegistryClient
    applier: RepositoryApplier
    planner: Planner
    options: CopyOptions
    at_once: int = 1

    def apply(self, plan: RulePlan, rule: CleanupRule) -> list[RepositoryResult]:
        """Apply the plan of a rule, `at_once` repositories at a time."""
        return side_by_side(partial(self._apply, rule), plan.repositories, self.at_once)

    def _apply(self, rule: CleanupRule, saved: RepositoryPlan) -> RepositoryResult:
        if saved.problem is not None or not saved.deletions:
            return untouched(rule.name, saved)
        try:
            agreed = self._agreed(saved, rule)
        except SquashproxyError as error:
            return untouched(rule.name, replace(saved, problem=str(error)))
        return self.applier.apply(rule.name, agreed, self.options, is_exact=True)

    def _agreed(self, saved: RepositoryPlan, rule: CleanupRule) -> RepositoryPlan:
        repository = parse_repository(saved.repository)
        orphans = frozenset(each.digest for each in saved.remove)
        now = self.planner.plan_again(repository, rule, orphans)
        if now.problem is not None:
            return now
        part = Agreement(saved, now, self.client.repository(repository)).part()
        return replace(part, freed_bytes=min(saved.freed_bytes, now.freed_bytes))
