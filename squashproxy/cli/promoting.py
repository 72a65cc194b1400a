"""What `squashproxy promote` does once its options are read."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from squashproxy.cleanup.cleaning import apply_plan
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.cli.brake import BrakedObserver
from squashproxy.cli.options import CommonOptions
from squashproxy.cli.reports import write_report
from squashproxy.cli.rules import Workshop, chosen_rules, open_workshop
from squashproxy.cli.steps import open_applier
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import AllFailed, PartlyFailed, SquashproxyError
from squashproxy.promotion.mirroring import plan_mirroring
from squashproxy.promotion.planning import Planner, RuleSteps
from squashproxy.promotion.promoting import Promoter, planned
from squashproxy.promotion.recurring import recurring
from squashproxy.promotion.results import ImageResult, PromoteResult
from squashproxy.report.junit import write_junit
from squashproxy.report.observer import LabelledObserver
from squashproxy.report.promoting import image_line, show_promotion
from squashproxy.state.locks import held


def run_promotion(
    common: CommonOptions, path: Path, name: str | None, junit: Path | None, *, dry_run: bool
) -> None:
    """Plan, promote, report. Raises SquashproxyError where something did not do what it should."""
    started = time.monotonic()
    with open_workshop(path, common) as shop:
        rules = chosen_rules(shop.configuration.promote, name, "promote", path)
        result = promote_rules(shop, rules, dry_run=dry_run)
    result = replace(result, seconds=round(time.monotonic() - started, 3))
    write_report(common, result, show_promotion)
    if junit is not None:
        write_junit(result, junit)
    check_failures(result.failures, result.attempts)


def promote_rules(shop: Workshop, rules: list[PromoteRule], *, dry_run: bool) -> PromoteResult:
    """Run some rules; a rule that cannot be planned stops no other."""
    result = PromoteResult(dry_run, (), (), (), (), None, 0.0)
    planner = _planner(shop)
    run = _dry if dry_run else _run
    for rule in rules:
        try:
            result = _joined(result, run(shop, planner, rule))
        except SquashproxyError as error:
            result = replace(result, problems=(*result.problems, f"{rule.name}: {error}"))
    for sentence in (*result.warnings, *result.problems):
        shop.observer.warn(sentence)
    return result


def _dry(shop: Workshop, planner: Planner, rule: PromoteRule) -> PromoteResult:
    found = planner.plan(rule)
    return replace(_noticed(shop, found), images=tuple(map(planned, found.steps)))


def _run(shop: Workshop, planner: Planner, rule: PromoteRule) -> PromoteResult:
    with held(shop.folder, "promote", [rule.name]):
        found = planner.plan(rule)
        noticed = _noticed(shop, found)
        result = replace(noticed, images=tuple(_promote(shop, found)))
        try:
            mirrored, log = _mirror(shop, found)
        except SquashproxyError as error:
            return replace(result, problems=(*result.problems, f"{rule.name}: {error}"))
        return replace(result, mirrored=tuple(mirrored), log=log)


def _noticed(shop: Workshop, found: RuleSteps) -> PromoteResult:
    """What is known of a rule before anything is moved."""
    warnings = (*found.warnings, *recurring(found, shop.promotions))
    return PromoteResult(False, (), (), warnings, found.problems, None, 0.0)


def _joined(first: PromoteResult, then: PromoteResult) -> PromoteResult:
    return replace(
        first,
        images=(*first.images, *then.images),
        mirrored=(*first.mirrored, *then.mirrored),
        warnings=(*first.warnings, *then.warnings),
        problems=(*first.problems, *then.problems),
        log=then.log or first.log,
    )


def _planner(shop: Workshop) -> Planner:
    return Planner(
        shop.client,
        shop.manifests,
        shop.promotions,
        shop.configuration.promote,
        shop.options,
        time.time,
        shop.observer.tally,
    )


def check_failures(failures: int, count: int, *, is_anything_done: bool = False) -> None:
    """Raise what gives the exit code: 3 where some of many failed, 1 where all did.

    What failed may have been begun; then `is_anything_done`, and it is 3, too.
    """
    if not failures:
        return
    if failures >= count and not is_anything_done:
        raise AllFailed("nothing of it could be done; the report says why")
    raise PartlyFailed(f"{failures} of {count} failed; the report says why")


def _promote(shop: Workshop, found: RuleSteps) -> list[ImageResult]:
    observer = shop.observer
    task = observer.tally(f"{found.rule.name}: images", len(found.steps))

    def tell(result: ImageResult) -> None:
        task.advance(1)
        if result.error is None:
            observer.note(image_line(result))
        else:
            observer.warn(image_line(result))

    promoter = Promoter(
        client=shop.client,
        memory=shop.promotions,
        open_source=shop.open_source,
        peek_source=shop.peek_source,
        watch=lambda image: BrakedObserver(LabelledObserver(observer, image), shop.brake),
        on_result=tell,
        is_stopped=lambda: shop.brake.is_stopped,
        cancel=shop.brake.cancel,
        check=shop.brake.check,
        at_once=shop.configuration.engine.jobs,
    )
    try:
        return promoter.promote(found.steps)
    finally:
        task.finish()


def _mirror(shop: Workshop, found: RuleSteps) -> tuple[list[RepositoryResult], str | None]:
    """Delete what the source lost, if the rule says so."""
    plan = plan_mirroring(found, shop.client, shop.gatherer, shop.promotions, time.time)
    if plan is None or (not plan.deletions and all(p.problem is None for p in plan.repositories)):
        return [], None
    with open_applier(shop, plan.deletions) as applier:
        results = apply_plan(plan, applier, shop.options)
        for result in results:
            for step in result.steps:
                if step.outcome in ("deleted", "untagged", "gone"):
                    _forget(shop, found.rule.name, result.repository, step.tags)
        return results, str(applier.log.path)


def _forget(shop: Workshop, rule: str, repository: str, tags: tuple[str, ...]) -> None:
    for promoted in shop.promotions.all_of(rule):
        target = promoted.target
        if str(target.repository) == repository and target.tag in tags:
            shop.promotions.forget(rule, target)
