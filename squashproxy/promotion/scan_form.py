"""The form of a scan: what is asked and found out, as JSON for other machines.

Targets do not travel: whoever asked works them out from the rule, as for every other image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Route
from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError, SquashproxyError
from squashproxy.json_form import Form, read_form, to_form
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.results import SourceSignature
from squashproxy.promotion.pairs import Pair
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.scan import Scan
from squashproxy.promotion.step_form import read_step, step_form
from squashproxy.promotion.steps import Sighting, Step
from squashproxy.reference import Reference, Repository, check_tag, parse_repository

_SCAN = "the scan of a repository"


@dataclass(frozen=True, slots=True)
class ScanForm:
    """A repository to scan at the time `now`, in unix seconds."""

    repository: str
    is_listed: bool
    now: float


@dataclass(frozen=True, slots=True)
class ScannedStep:
    """A step. `copy` is its whole form where it is to be copied.

    `signed_by` is for the report of a dry run alone: whoever copies checks the signatures anew.
    """

    tag: str
    outcome: ImageOutcome
    source_digest: Digest | None
    existing: Digest | None
    error: str | None
    copy: dict[str, Any] | None
    signed_by: tuple[SourceSignature, ...]


@dataclass(frozen=True, slots=True)
class ScannedForm:
    """A Scan. `tags` are all of the repository, None where it has no sighting."""

    tags: tuple[str, ...] | None
    is_sound: bool
    steps: tuple[ScannedStep, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]


def query_form(repository: Repository, now: float, *, is_listed: bool) -> dict[str, Any]:
    """A question for a scan as JSON."""
    return to_form(ScanForm(str(repository), is_listed, now))


def read_query(form: Form, rule: PromoteRule) -> tuple[Repository, ScanForm]:
    """The inverse of `query_form`. Raises FormatError, also for a strange repository."""
    read = read_form(ScanForm, form, "the question for a scan")
    try:
        repository = parse_repository(read.repository)
    except ValueError as error:
        raise FormatError(str(error)) from error
    pattern = Route(rule).pattern
    if pattern is None or not pattern.matches(repository):
        raise FormatError(f"{repository} is none of the repositories of the rule {rule.name}")
    return repository, read


def scanned_form(scan: Scan) -> dict[str, Any]:
    """What a scan found as JSON."""
    sighting = scan.sighting
    return to_form(
        ScannedForm(
            None if sighting is None else sighting.tags,
            sighting is not None and sighting.is_sound,
            tuple(map(_scanned_step, scan.steps)),
            scan.warnings,
            scan.problems,
        )
    )


def read_scanned(
    form: Form, repository: Repository, rule: PromoteRule, options: CopyOptions
) -> Scan:
    """The inverse of `scanned_form`. Raises FormatError."""
    read = read_form(ScannedForm, form, _SCAN)
    if read.tags is None:
        return Scan(None, (), (), read.warnings, read.problems)
    sighting = Sighting(repository, read.tags, read.is_sound)
    try:
        steps = tuple(_steps(read, sighting, rule, options))
    except (SquashproxyError, ValueError) as error:
        raise FormatError(f"{_SCAN} is malformed: {error}") from error
    pairs = tuple(Pair(step.source, step.target, step.tags) for step in steps)
    return Scan(sighting, pairs, steps, read.warnings, read.problems)


def _scanned_step(step: Step) -> ScannedStep:
    is_copy = step.outcome is ImageOutcome.COPY
    return ScannedStep(
        step.source.tag or "",
        step.outcome,
        step.source_digest,
        step.existing,
        None if step.error is None else str(step.error),
        step_form(step) if is_copy else None,
        step.signed_by,
    )


def _steps(
    read: ScannedForm, sighting: Sighting, rule: PromoteRule, options: CopyOptions
) -> Iterator[Step]:
    tags = frozenset(sighting.tags)
    for tag in sighting.tags:
        check_tag(tag)
    route = Route(rule)
    for each in read.steps:
        if each.tag not in tags:
            raise FormatError(f"{sighting.repository} has no tag {each.tag}")
        target = route.template.target(sighting.repository, each.tag)
        pair = Pair(Reference(sighting.repository, each.tag), target, tags)
        yield _step(each, pair, rule, options)


def _step(each: ScannedStep, pair: Pair, rule: PromoteRule, options: CopyOptions) -> Step:
    if each.copy is not None:
        step = read_step(each.copy, rule, options)
        if (step.source, step.target) != (pair.source, pair.target):
            raise FormatError(f"{each.tag} is {step.source}")
        return replace(step, tags=pair.tags, signed_by=each.signed_by)
    for digest in (each.source_digest, each.existing):
        if digest is not None:
            parse_digest(digest)
    if each.outcome in (ImageOutcome.COPY, ImageOutcome.COPIED):
        raise FormatError(f"{each.tag} is {each.outcome.value}")
    return Step(
        rule,
        pair.source,
        pair.target,
        options,
        each.outcome,
        each.source_digest,
        each.existing,
        error=None if each.error is None else SquashproxyError(each.error),
        tags=pair.tags,
        signed_by=each.signed_by,
    )
