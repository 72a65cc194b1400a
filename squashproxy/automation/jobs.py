"""The rules with a schedule, as jobs for the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from squashproxy.automation.cleanup import clean_up
from squashproxy.automation.context import Context, open_context
from squashproxy.automation.options import RunOptions
from squashproxy.automation.promote import promote
from squashproxy.automation.scheduler import Job, Report
from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.results import CleanupResult, StepOutcome
from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.configuration import Configuration
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import SquashproxyError
from squashproxy.promotion.results import ImageOutcome, PromoteResult
from squashproxy.report.as_json import to_json
from squashproxy.report.observer import LoggingObserver
from squashproxy.report.sizes import size_text
from squashproxy.state.runs import Outcome

if TYPE_CHECKING:  # needs the extra `fleet`
    from squashproxy.fleet.fleet import Fleet

_MOST_TOLD = 3
_IMAGE_OUTCOMES = (
    ImageOutcome.COPIED,
    ImageOutcome.CURRENT,
    ImageOutcome.KEPT,
    ImageOutcome.REFUSED,
    ImageOutcome.FAILED,
)
_STEP_OUTCOMES = (
    StepOutcome.DELETED,
    StepOutcome.UNTAGGED,
    StepOutcome.SQUASHED,
    StepOutcome.LEFT,
)


def scheduled_jobs(
    configuration: Configuration,
    options: RunOptions,
    cancellation: Cancellation,
    fleet: Fleet | None = None,
) -> list[Job]:
    """One job for each rule that has a schedule. Each run opens what it needs, and closes it.

    With a `fleet`, workers do what runs consist of.
    """
    run = partial(_run, configuration, options, cancellation, fleet)
    promotions = [
        Job("promote", rule.name, rule.timetable, partial(run, partial(_promote, rule)))
        for rule in configuration.promote
        if rule.timetable is not None
    ]
    cleanups = [
        Job("cleanup", rule.name, rule.timetable, partial(run, partial(_clean, rule)))
        for rule in configuration.cleanup
        if rule.timetable is not None
    ]
    return [*promotions, *cleanups]


def _run(
    configuration: Configuration,
    options: RunOptions,
    cancellation: Cancellation,
    fleet: Fleet | None,
    work: Callable[[Context], Report],
) -> Report:
    try:
        observer = LoggingObserver()
        with open_context(configuration, options, observer, cancellation, fleet) as context:
            report = work(context)
    except SquashproxyError as error:
        return Report(Outcome.FAILED, str(error), "{}")
    if cancellation.is_stopping and report.outcome is not Outcome.DONE:
        return Report(Outcome.CANCELLED, report.summary, report.document)
    return report


def _promote(rule: PromoteRule, context: Context) -> Report:
    result = promote(context, [rule], dry_run=False)
    outcome = _outcome(result.failures, result.attempts)
    return Report(outcome, _of_promotion(result), to_json(result))


def _clean(rule: CleanupRule, context: Context) -> Report:
    result = clean_up(context, [rule])
    outcome = _outcome(result.failures, result.attempts)
    return Report(outcome, _of_cleanup(result), to_json(result))


def _outcome(failures: int, count: int) -> Outcome:
    if not failures:
        return Outcome.DONE
    return Outcome.FAILED if failures >= count else Outcome.PARTIAL


def _of_promotion(result: PromoteResult) -> str:
    parts = [f"{result.count(word)} {word}" for word in _IMAGE_OUTCOMES if result.count(word)]
    parts += result.problems[:_MOST_TOLD]
    if len(result.problems) > _MOST_TOLD:
        parts.append(f"{len(result.problems) - _MOST_TOLD:,} more problems")
    if result.saved_bytes:
        parts.append(f"saved {size_text(result.saved_bytes)} summed over images")
    if result.distinct_images:
        before, after = size_text(result.distinct_before), size_text(result.distinct_after)
        parts.append(f"{after} in the target instead of {before}")
    return ", ".join(parts) or "no image"


def _of_cleanup(result: CleanupResult) -> str:
    parts = []
    for word in _STEP_OUTCOMES:
        count = sum(each.count(word) for each in result.repositories)
        if count:
            parts.append(f"{count} {word}")
    parts += [each.problem for each in result.repositories if each.problem is not None]
    return ", ".join(parts) or "nothing to do"
