"""Running cleanup rules: make plans, apply them, undo what an audit log records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from squashproxy.automation.applier import open_applier
from squashproxy.automation.context import Context
from squashproxy.automation.undo_places import check_places
from squashproxy.cleanup.apply.apply import Applier, untouched
from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cleanup.apply.saved import SavedApplier, check_saved
from squashproxy.cleanup.apply.undo import UndoResult, undo
from squashproxy.cleanup.plan import CleanupPlan, RulePlan
from squashproxy.cleanup.plan_file import read_plan
from squashproxy.cleanup.repository_planner import LocalRepositoryPlanner
from squashproxy.cleanup.results import CleanupResult, RepositoryResult
from squashproxy.cleanup.rule_options import squash_options
from squashproxy.cleanup.rule_planner import Planner, apply_plan
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused
from squashproxy.pipeline.options import CopyOptions
from squashproxy.state.locks import held

_Apply = Callable[[RulePlan, CleanupRule, Applier, CopyOptions, Context], list[RepositoryResult]]


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
    with _held(context, rules):
        return _apply(context, make_plans(context, rules), rules, started, _apply_fresh)


def apply_saved_plan(
    context: Context, rules: Sequence[CleanupRule], name: str | None, file: Path
) -> CleanupResult:
    """Apply the plan in `file`, or only the part of rule `name`, as far as the rules still agree.

    Raises UsageError where the file is not a plan of these rules, PlanRefused and RuleBusy.
    """
    started = time.monotonic()
    with _held(context, rules):
        plan = _saved(file, rules, name)
        return _apply(context, plan, rules, started, _apply_saved)


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


def _held(context: Context, rules: Sequence[CleanupRule]) -> AbstractContextManager[None]:
    return held(context.folder, "cleanup", [rule.name for rule in rules])


def _apply_saved(
    plan: RulePlan, rule: CleanupRule, applier: Applier, options: CopyOptions, context: Context
) -> list[RepositoryResult]:
    saved = SavedApplier(context.client, applier, _planner(context), options)
    return saved.apply(plan, rule)


def _apply_fresh(
    plan: RulePlan, _rule: CleanupRule, applier: Applier, options: CopyOptions, _context: Context
) -> list[RepositoryResult]:
    return apply_plan(plan, applier, options)


def _planner(context: Context) -> Planner:
    loader = context.graph_loader
    planner = LocalRepositoryPlanner(loader)
    return Planner(context.client, loader, planner, time.time, context.observer.tally)


def _apply(
    context: Context,
    plan: CleanupPlan,
    rules: Sequence[CleanupRule],
    started: float,
    apply: _Apply,
) -> CleanupResult:
    """Apply the plans of all rules; none of them if one exceeds its limits."""
    check_bounds(plan)
    by_name = {rule.name: rule for rule in rules}
    results: list[RepositoryResult] = []
    where: str | None = None
    count = sum(each.deletions for each in plan.rules)
    if count:
        with open_applier(context, count) as applier:
            where = str(applier.log.path)
            for each in plan.rules:
                rule = by_name[each.rule]
                options = squash_options(rule, context.options)
                results += apply(each, rule, applier, options, context)
    else:
        results = [untouched(rule.rule, each) for rule in plan.rules for each in rule.repositories]
    warnings = tuple(sentence for each in plan.rules for sentence in each.warnings)
    seconds = round(time.monotonic() - started, 3)
    return CleanupResult(
        applied=True,
        repositories=tuple(results),
        warnings=warnings,
        log=where,
        seconds=seconds,
    )


def _saved(file: Path, rules: Sequence[CleanupRule], name: str | None) -> CleanupPlan:
    plan = read_plan(file)
    chosen = [each for each in plan.rules if name is None or each.rule == name]
    for each in chosen:
        check_saved(each, rules, time.time())
    return CleanupPlan(tuple(chosen))
