"""Plans of one repository, and what is needed to make and apply them, as JSON for other machines.

What a run remembers of a repository lies on the machine that asked, and so do the lists of images
in use. Both travel with the question, and what was learned travels back with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.plan_file import check_names
from squashproxy.cleanup.repository_planner import PlanQuery
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.cleanup.retention import InUse
from squashproxy.config.cleanup import CleanupRule
from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.json_form import Form, read_form, to_form
from squashproxy.reference import Repository, check_tag, parse_repository


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of a repository from earlier runs; see TagMemory. Times are unix seconds."""

    tags: Mapping[str, Digest] = field(default_factory=dict)
    untagged: Mapping[Digest, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanForm:
    """A PlanQuery without its rule, and what is known of the repository."""

    repository: str
    now: float
    tags_in_use: Mapping[str, str]
    digests_in_use: Mapping[Digest, str]
    orphans: tuple[Digest, ...]
    known: Remembered


@dataclass(frozen=True, slots=True)
class PlannedForm:
    """A plan, and what is known of the repository now."""

    plan: RepositoryPlan
    known: Remembered


@dataclass(frozen=True, slots=True)
class ApplyForm:
    """A plan to apply at the time `now`, in unix seconds; for `is_exact` see Applier.

    `journal` is the name of the journal that keeps what is deleted.
    """

    plan: RepositoryPlan
    is_exact: bool
    now: float
    journal: str
    known: Remembered


@dataclass(frozen=True, slots=True)
class AppliedForm:
    """The result of a plan, and what is known of the repository now."""

    result: RepositoryResult
    known: Remembered


def query_form(query: PlanQuery, known: Remembered) -> dict[str, Any]:
    """A question for a plan as JSON."""
    return to_form(
        PlanForm(
            str(query.repository),
            query.now,
            dict(query.in_use.tags),
            dict(query.in_use.digests),
            tuple(sorted(query.orphans)),
            known,
        )
    )


def read_query(form: Form, rule: CleanupRule) -> tuple[PlanQuery, Remembered]:
    """The inverse of `query_form`. Raises FormatError, also for a strange repository."""
    read = read_form(PlanForm, form, "the question for a plan")
    repository = _repository(read.repository, rule)
    for digest in (*read.digests_in_use, *read.orphans):
        parse_digest(digest)
    in_use = InUse(read.tags_in_use, read.digests_in_use)
    query = PlanQuery(repository, rule, in_use, read.now, frozenset(read.orphans))
    return query, _checked(read.known)


def planned_form(plan: RepositoryPlan, known: Remembered) -> dict[str, Any]:
    """A plan as JSON."""
    return to_form(PlannedForm(plan, known))


def read_planned(form: Form, repository: Repository) -> PlannedForm:
    """The inverse of `planned_form`. Raises FormatError, also for another repository's plan."""
    read = read_form(PlannedForm, form, "the plan of a repository")
    _check_plan(read.plan)
    if read.plan.repository != str(repository):
        raise FormatError(f"the plan of {repository} is about {read.plan.repository}")
    _checked(read.known)
    return read


def apply_form(
    plan: RepositoryPlan, known: Remembered, now: float, journal: str, *, is_exact: bool
) -> dict[str, Any]:
    """A plan to apply as JSON."""
    return to_form(ApplyForm(plan, is_exact, now, journal, known))


def read_apply(form: Form, rule: CleanupRule) -> ApplyForm:
    """The inverse of `apply_form`. Raises FormatError, also for a strange repository."""
    read = read_form(ApplyForm, form, "the plan to apply")
    _check_plan(read.plan)
    _repository(read.plan.repository, rule)
    _checked(read.known)
    return read


def applied_form(result: RepositoryResult, known: Remembered) -> dict[str, Any]:
    """The result of a plan as JSON."""
    return to_form(AppliedForm(result, known))


def read_applied(form: Form, rule: str, repository: str) -> AppliedForm:
    """The inverse of `applied_form`. Raises FormatError, also for another repository's result."""
    read = read_form(AppliedForm, form, "the result of a cleanup")
    if (read.result.rule, read.result.repository) != (rule, repository):
        raise FormatError(f"the result for {repository} is about {read.result.repository}")
    _checked(read.known)
    return read


def _repository(name: str, rule: CleanupRule) -> Repository:
    try:
        repository = parse_repository(name)
    except ValueError as error:
        raise FormatError(str(error)) from error
    if not any(pattern.matches(repository) for pattern in rule.repositories):
        raise FormatError(f"{repository} is none of the repositories of the rule {rule.name}")
    return repository


def _check_plan(plan: RepositoryPlan) -> None:
    try:
        check_names(plan)
    except ValueError as error:
        raise FormatError(f"the plan of {plan.repository} is malformed: {error}") from error


def _checked(known: Remembered) -> Remembered:
    for digest in (*known.tags.values(), *known.untagged):
        parse_digest(digest)
    try:
        for tag in known.tags:
            check_tag(tag)
    except ValueError as error:
        raise FormatError(str(error)) from error
    return known
