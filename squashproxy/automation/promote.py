"""Running promotion rules: plan, copy, and mirror deletions."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from squashproxy.automation.applier import open_applier
from squashproxy.automation.context import Context
from squashproxy.automation.hold import hold_rules
from squashproxy.cleanup.results import RepositoryResult, StepOutcome
from squashproxy.cleanup.rule_planner import apply_plan
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import SquashproxyError
from squashproxy.progress import Observer
from squashproxy.promotion.distinct import FleetLayers
from squashproxy.promotion.mirror import plan_mirroring
from squashproxy.promotion.plan import Planner, RuleSteps
from squashproxy.promotion.results import ImageResult, PromoteResult
from squashproxy.promotion.run import Promoter
from squashproxy.promotion.scan import RepositoryScanner
from squashproxy.promotion.step_runner import LocalStepRunner, StepRunner, foreseen
from squashproxy.promotion.vanished import recurring
from squashproxy.report.observer import LabelledObserver
from squashproxy.report.promote import image_line


def promote(context: Context, rules: Sequence[PromoteRule], *, dry_run: bool) -> PromoteResult:
    """Run some rules; a rule that cannot be planned does not stop the others.

    Warnings and problems are reported to the context's observer, and are part of the result.
    """
    started = time.monotonic()
    result = PromoteResult(dry_run, (), (), (), (), None, 0.0)
    planner = _planner(context)
    layers = FleetLayers(context.promotions)
    run = _dry if dry_run else _run
    for rule in rules:
        try:
            done = run(context, planner, rule)
            result = _joined(result, done)
            if not dry_run:
                layers.add(done.images)
        except SquashproxyError as error:
            result = replace(result, problems=(*result.problems, f"{rule.name}: {error}"))
    for sentence in (*result.warnings, *result.problems):
        context.observer.warn(sentence)
    total = layers.total
    return replace(
        result,
        seconds=round(time.monotonic() - started, 3),
        distinct_before=total.plain,
        distinct_after=total.held,
        distinct_images=layers.images,
    )


def _dry(context: Context, planner: Planner, rule: PromoteRule) -> PromoteResult:
    found = planner.plan(rule)
    return replace(_noticed(context, found), images=tuple(map(foreseen, found.steps)))


def _run(context: Context, planner: Planner, rule: PromoteRule) -> PromoteResult:
    with hold_rules(context, "promote", [rule.name]):
        found = planner.plan(rule)
        noticed = _noticed(context, found)
        result = replace(noticed, images=tuple(_promote(context, found)))
        try:
            mirrored, log = _mirror(context, found)
        except SquashproxyError as error:
            return replace(result, problems=(*result.problems, f"{rule.name}: {error}"))
        return replace(result, mirrored=tuple(mirrored), log=log)


def _noticed(context: Context, found: RuleSteps) -> PromoteResult:
    """The result of a rule before anything is copied: warnings and problems of its plan."""
    warnings = (*found.warnings, *recurring(found, context.promotions))
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


def _planner(context: Context) -> Planner:
    return Planner(
        context.client,
        context.manifests,
        context.promotions,
        context.configuration.promote,
        context.options,
        time.time,
        os.environ,
        context.observer.warn,
        context.observer.tally,
        scanner=_scanner(context),
    )


def _scanner(context: Context) -> RepositoryScanner | None:
    if context.fleet is None:
        return None
    from squashproxy.automation.workers import jobs, steps  # noqa: PLC0415 - extra `fleet`

    asked = jobs.FleetJobs(context.fleet, context.cancellation)
    return steps.FleetScanner(asked, context.observer, time.time, context.jobs_at_once)


def _promote(context: Context, found: RuleSteps) -> list[ImageResult]:
    observer = context.observer
    task = observer.tally(f"{found.rule.name}: images", len(found.steps))

    def tell(result: ImageResult) -> None:
        task.advance(1)
        if result.error is None:
            observer.note(image_line(result))
        elif not context.cancellation.is_cancelled:  # else whoever interrupted it knows
            observer.warn(image_line(result))

    promoter = Promoter(
        client=context.client,
        memory=context.promotions,
        runner=_step_runner(context),
        on_result=tell,
        cancellation=context.cancellation,
        at_once=context.jobs_at_once,
    )
    try:
        return promoter.promote(found.steps)
    finally:
        task.finish()


def _step_runner(context: Context) -> StepRunner:
    def watch(image: str) -> Observer:
        return LabelledObserver(context.observer, image)

    if context.fleet is not None:
        from squashproxy.automation.workers import jobs, steps  # noqa: PLC0415 - extra `fleet`

        return steps.FleetStepRunner(jobs.FleetJobs(context.fleet, context.cancellation), watch)
    return LocalStepRunner(
        client=context.client,
        open_source=context.open_source,
        quick_source=context.quick_source,
        watch=watch,
        cancellation=context.cancellation,
    )


def _mirror(context: Context, found: RuleSteps) -> tuple[list[RepositoryResult], str | None]:
    """Delete at the target what the source no longer has, if the rule asks for it."""
    plan = plan_mirroring(
        found, context.client, context.graph_loader, context.promotions, time.time
    )
    if plan is None or (not plan.deletions and all(p.problem is None for p in plan.repositories)):
        return [], None
    with open_applier(context, plan.deletions) as opened:
        results = apply_plan(plan, opened.applier, context.options)
        for result in results:
            for step in result.steps:
                if step.outcome in (StepOutcome.DELETED, StepOutcome.UNTAGGED, StepOutcome.GONE):
                    _forget(context, found.rule.name, result.repository, step.tags)
        return results, str(opened.log.path)


def _forget(context: Context, rule: str, repository: str, tags: tuple[str, ...]) -> None:
    for promoted in context.promotions.all_of(rule):
        target = promoted.target
        if str(target.repository) == repository and target.tag in tags:
            context.promotions.forget(rule, target)
