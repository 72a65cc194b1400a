"""What `squashproxy cleanup` does once its options are read."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from squashproxy.cleanup.applying import Applier, untouched
from squashproxy.cleanup.audit import read_log
from squashproxy.cleanup.cleaning import Planner, apply_plan
from squashproxy.cleanup.plan_file import read_plan, write_plan
from squashproxy.cleanup.plans import CleanupPlan, RulePlan
from squashproxy.cleanup.results import CleanupResult, RepositoryResult
from squashproxy.cleanup.saved import SavedApplier, check_saved
from squashproxy.cleanup.undoing import undo
from squashproxy.cli.options import CommonOptions
from squashproxy.cli.places import check_places
from squashproxy.cli.promoting import check_failures
from squashproxy.cli.reports import write_report
from squashproxy.cli.rules import Workshop, chosen_rules, open_workshop
from squashproxy.cli.steps import open_applier
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused
from squashproxy.pipeline.options import CopyOptions
from squashproxy.report.cleaning import show_cleanup, show_plan, show_undo
from squashproxy.state.locks import held

_Apply = Callable[[RulePlan, CleanupRule, Applier, CopyOptions, Workshop], list[RepositoryResult]]


def run_plan(common: CommonOptions, path: Path, name: str | None, file: Path | None) -> None:
    """Plan, and write the plan where it is wanted."""
    with open_workshop(path, common) as shop:
        rules = chosen_rules(shop.configuration.cleanup, name, "cleanup", path)
        plan = make_plans(shop, rules)
    if file is not None:
        write_plan(plan, file)
    write_report(common, plan, show_plan)
    _check_plan(plan)


def run_apply(common: CommonOptions, path: Path, name: str | None, file: Path | None) -> None:
    """Apply the plan of a file, or one that is made now."""
    started = time.monotonic()
    with open_workshop(path, common) as shop:
        rules = chosen_rules(shop.configuration.cleanup, name, "cleanup", path)
        if file is None:
            result = clean_up(shop, rules, started)
        else:
            with _held(shop, rules):
                plan = _saved(file, rules, name)
                result = _apply(shop, plan, rules, started, _apply_saved)
    write_report(common, result, show_cleanup)
    check_failures(result.failures, result.attempts, is_anything_done=result.has_changed_anything)


def run_undo(common: CommonOptions, path: Path, log: Path) -> None:
    """Put back what a log says."""
    entries = read_log(log)
    with open_workshop(path, common) as shop:
        check_places(entries, shop.configuration, log)
        result = undo(shop.client, entries)
    write_report(common, result, show_undo)
    check_failures(result.failures, len(result.steps))


def make_plans(shop: Workshop, rules: list[CleanupRule]) -> CleanupPlan:
    """The plans of some rules, with their warnings told."""
    planner = _planner(shop)
    plans = tuple(planner.plan(rule) for rule in rules)
    for plan in plans:
        for sentence in plan.warnings:
            shop.observer.warn(sentence)
    return CleanupPlan(plans)


def clean_up(shop: Workshop, rules: list[CleanupRule], started: float) -> CleanupResult:
    """Plan some rules and apply that; `started` is when, by the monotonic clock.

    Raises RuleBusy where another process runs one of them.
    """
    with _held(shop, rules):
        return _apply(shop, make_plans(shop, rules), rules, started, _apply_fresh)


def _held(shop: Workshop, rules: list[CleanupRule]) -> AbstractContextManager[None]:
    return held(shop.folder, "cleanup", [rule.name for rule in rules])


def _apply_saved(
    plan: RulePlan, rule: CleanupRule, applier: Applier, options: CopyOptions, shop: Workshop
) -> list[RepositoryResult]:
    return SavedApplier(applier, _planner(shop), options).apply(plan, rule)


def _apply_fresh(
    plan: RulePlan, _rule: CleanupRule, applier: Applier, options: CopyOptions, _shop: Workshop
) -> list[RepositoryResult]:
    return apply_plan(plan, applier, options)


def _planner(shop: Workshop) -> Planner:
    return Planner(shop.client, shop.gatherer, time.time, shop.observer.tally)


def _apply(
    shop: Workshop,
    plan: CleanupPlan,
    rules: list[CleanupRule],
    started: float,
    apply: _Apply,
) -> CleanupResult:
    """Apply what the rules' bounds allow; nothing of any rule where one is refused."""
    _check_bounds(plan)
    by_name = {rule.name: rule for rule in rules}
    results: list[RepositoryResult] = []
    where: str | None = None
    count = sum(each.deletions for each in plan.rules)
    if count:
        with open_applier(shop, count) as applier:
            where = str(applier.log.path)
            for each in plan.rules:
                rule = by_name[each.rule]
                options = replace(shop.options, base=rule.base, compression=rule.compression)
                results += apply(each, rule, applier, options, shop)
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


def _saved(file: Path, rules: list[CleanupRule], name: str | None) -> CleanupPlan:
    plan = read_plan(file)
    chosen = [each for each in plan.rules if name is None or each.rule == name]
    for each in chosen:
        check_saved(each, rules, time.time())
    return CleanupPlan(tuple(chosen))


def _check_bounds(plan: CleanupPlan) -> None:
    refusals = [each.refusal for each in plan.rules if each.refusal is not None]
    if refusals:
        raise PlanRefused("; ".join(refusals))


def _check_plan(plan: CleanupPlan) -> None:
    _check_bounds(plan)
    repositories = [each for rule in plan.rules for each in rule.repositories]
    check_failures(sum(each.problem is not None for each in repositories), len(repositories))
