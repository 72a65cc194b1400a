"""The rules of a configuration as routines."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from squashproxy.cleanup.results import CleanupResult
from squashproxy.cli.brake import Brake
from squashproxy.cli.cleaning import clean_up
from squashproxy.cli.options import CommonOptions
from squashproxy.cli.promoting import promote_rules
from squashproxy.cli.rules import Workshop, open_configured
from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.configuration import Configuration
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import SquashproxyError
from squashproxy.promotion.results import PromoteResult
from squashproxy.report.documents import to_json
from squashproxy.report.observer import LoggingObserver
from squashproxy.report.sizes import size_text
from squashproxy.routine.scheduling import Report, Routine
from squashproxy.state.runs import Outcome

_MOST_TOLD = 3


def routines_of(configuration: Configuration, common: CommonOptions, brake: Brake) -> list[Routine]:
    """Every rule that has times. Each run opens what it needs, and closes it."""
    run = partial(_run, configuration, common, brake)
    promotions = [
        Routine("promote", rule.name, rule.timetable, partial(run, partial(_promote, rule)))
        for rule in configuration.promote
        if rule.timetable is not None
    ]
    cleanups = [
        Routine("cleanup", rule.name, rule.timetable, partial(run, partial(_clean, rule)))
        for rule in configuration.cleanup
        if rule.timetable is not None
    ]
    return [*promotions, *cleanups]


def _run(
    configuration: Configuration,
    common: CommonOptions,
    brake: Brake,
    work: Callable[[Workshop], Report],
) -> Report:
    try:
        with open_configured(configuration, common, brake, LoggingObserver()) as shop:
            report = work(shop)
    except SquashproxyError as error:
        return Report(Outcome.FAILED, str(error), "{}")
    if brake.is_stopped and report.outcome is not Outcome.DONE:
        return Report(Outcome.CANCELLED, report.summary, report.document)
    return report


def _promote(rule: PromoteRule, shop: Workshop) -> Report:
    result = promote_rules(shop, [rule], dry_run=False)
    outcome = _outcome(result.failures, result.attempts)
    return Report(outcome, _of_promotion(result), to_json(result))


def _clean(rule: CleanupRule, shop: Workshop) -> Report:
    started = time.monotonic()
    result = clean_up(shop, [rule], started)
    outcome = _outcome(result.failures, result.attempts)
    return Report(outcome, _of_cleanup(result), to_json(result))


def _outcome(failures: int, count: int) -> Outcome:
    if not failures:
        return Outcome.DONE
    return Outcome.FAILED if failures >= count else Outcome.PARTIAL


def _of_promotion(result: PromoteResult) -> str:
    parts = [
        f"{result.count(word)} {word}"
        for word in ("copied", "current", "kept", "refused", "failed")
        if result.count(word)
    ]
    parts += result.problems[:_MOST_TOLD]
    if len(result.problems) > _MOST_TOLD:
        parts.append(f"{len(result.problems) - _MOST_TOLD:,} more problems")
    if result.saved_bytes:
        parts.append(f"saved {size_text(result.saved_bytes)}")
    return ", ".join(parts) or "no image"


def _of_cleanup(result: CleanupResult) -> str:
    parts = []
    for word in ("deleted", "untagged", "squashed", "left"):
        count = sum(each.count(word) for each in result.repositories)
        if count:
            parts.append(f"{count} {word}")
    parts += [each.problem for each in result.repositories if each.problem is not None]
    return ", ".join(parts) or "nothing to do"
