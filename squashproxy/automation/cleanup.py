"""Running cleanup rules: make plans, apply them, undo what an audit log records."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from squashproxy.automation.applier import open_cleanup_applier
from squashproxy.automation.context import Context
from squashproxy.automation.hold import hold_rules
from squashproxy.automation.undo_places import check_places
from squashproxy.cleanup.apply.apply import RepositoryApplier, untouched
from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cleanup.apply.saved import SavedApplier, check_saved
from squashproxy.cleanup.apply.undo import UndoResult, undo
from squashproxy.cleanup.plan import CleanupPlan, RulePlan
from squashproxy.cleanup.plan_file import read_plan
from squashproxy.cleanup.repository_planner import LocalRepositoryPlanner, RepositoryPlanner
from squashproxy.cleanup.results import CleanupResult, RepositoryResult
from squashproxy.cleanup.rule_options import squash_options
from squashproxy.cleanup.rule_planner import Planner, apply_plan
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused
from squashproxy.pipeline.options import CopyOptions

_Apply = Callable[
    [RulePlan, CleanupRule, RepositoryApplier, CopyOptions, Context], list[RepositoryResult]
]


def make_plans(context: Context, rules: Sequence[CleanupRule]) -> CleanupPlan:
    """Plan some rules; their warnings are reported to the context's observer."""
    planner = _planner(context)
    plans = tuple(planner.plan(rule) for rule in rules)
    for plan in plans:
        for sentence in plan.warnings:
            context.observer.warn(sentence)
    return CleanupPlan(plans)


def clean_up(context: Context, rules: Sequence[CleanupRule]) -> CleanupResult:
    """Plan some rules and apply the plans.

    Raises PlanRefused, and RuleBusy where another process runs one of the rules.
    """
    started = time.monotonic()
    with hold_rules(context, "cleanup", [rule.name for rule in rules]) as check:
        run = _Run(context, rules, started, check)
        return run.apply(make_plans(context, rules), _apply_fresh)


def apply_saved_plan(
    context: Context, rules: Sequence[CleanupRule], name: str | None, file: Path
) -> CleanupResult:
    """Apply the plan in `file`, or only the part of rule `name`, as far as the rules still agree.

    Raises UsageError where the file is not a plan of these rules, PlanRefused and RuleBusy.
    """
    started = time.monotonic()
    with hold_rules(context, "cleanup", [rule.name for rule in rules]) as check:
        run = _Run(context, rules, started, check)
        return run.apply(_saved(file, rules, name), _apply_saved)


def undo_log(context: Context, log: Path) -> UndoResult:
    """Put back what an audit log records as deleted.

    Raises UsageError where the log names a repository that no rule of the configuration changes.
    """
    entries = read_log(log)
    check_places(entries, context.configuration, log)
    return undo(context.client, entries)


def check_bounds(plan: CleanupPlan) -> None:
    """Raise PlanRefused where a plan would take away more than its rule allows."""
    refusals = [each.refusal for each in plan.rules if each.refusal is not None]
    if refusals:
        raise PlanRefused("; ".join(refusals))


def _apply_saved(
    plan: RulePlan,
    rule: CleanupRule,
    applier: RepositoryApplier,
    options: CopyOptions,
    context: Context,
) -> list[RepositoryResult]:
    planner = _planner(context)
    saved = SavedApplier(context.client, applier, planner, options, planner.at_once)
    return saved.apply(plan, rule)


def _apply_fresh(
    plan: RulePlan,
    _rule: CleanupRule,
    applier: RepositoryApplier,
    options: CopyOptions,
    context: Context,
) -> list[RepositoryResult]:
    return apply_plan(plan, applier, options, _at_once(context))


def _planner(context: Context) -> Planner:
    loader, observer = context.graph_loader, context.observer
    planner: RepositoryPlanner = LocalRepositoryPlanner(loader)
    if context.fleet is not None:
        from squashproxy.automation.workers import cleanup, jobs  # noqa: PLC0415 - extra `fleet`

        asked = jobs.FleetJobs(context.fleet, context.cancellation)
        planner = cleanup.FleetRepositoryPlanner(asked, context.tags, observer)
    return Planner(context.client, loader, planner, time.time, observer.tally, _at_once(context))


def _at_once(context: Context) -> int:
    """How many repositories are worked on at once: one by one in this process."""
    return 1 if context.fleet is None else context.jobs_at_once


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that holds some rules; `check` raises where they may be lost."""

    context: Context
    rules: Sequence[CleanupRule]
    started: float
    check: Callable[[], None]

    def apply(self, plan: CleanupPlan, apply: _Apply) -> CleanupResult:
        """Apply the plans of all rules; none of them if one exceeds its limits."""
        check_bounds(plan)
        results: list[RepositoryResult] = []
        where: str | None = None
        count = sum(each.deletions for each in plan.rules)
        if count:
            options = self._options()
            with open_cleanup_applier(self.context, count, self.rules, self.check) as opened:
                where = str(opened.log.path)
                for each in plan.rules:
                    results += self._apply_one(each, opened.applier, apply, options)
        else:
            results = [
                untouched(rule.rule, each) for rule in plan.rules for each in rule.repositories
            ]
        warnings = tuple(sentence for each in plan.rules for sentence in each.warnings)
        return CleanupResult(
            applied=True,
            repositories=tuple(results),
            warnings=warnings,
            log=where,
            seconds=round(time.monotonic() - self.started, 3),
        )

    def _options(self) -> dict[str, CopyOptions]:
        """The options of each rule; a key that cannot be read is found out before any deletion."""
        defaults, warn = self.context.options, self.context.observer.warn
        return {rule.name: squash_options(rule, defaults, os.environ, warn) for rule in self.rules}

    def _apply_one(
        self,
        plan: RulePlan,
        applier: RepositoryApplier,
        apply: _Apply,
        options: Mapping[str, CopyOptions],
    ) -> list[RepositoryResult]:
        rule = next(each for each in self.rules if each.name == plan.rule)
        return apply(plan, rule, applier, options[rule.name], self.context)


def _saved(file: Path, rules: Sequence[CleanupRule], name: str | None) -> CleanupPlan:
    plan = read_plan(file)
    chosen = [each for each in plan.rules if name is None or each.rule == name]
    for each in chosen:
        check_saved(each, rules, time.time())
    return CleanupPlan(tuple(chosen))
