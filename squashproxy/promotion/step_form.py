"""A step and its result as JSON, for another machine that has the same rules.

A step names its rule; options and keys are worked out where the step is carried out. Whoever can
write a step can only start what the rule itself would do: `read_step` checks each name by the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Route, Use
from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError, SquashproxyError
from squashproxy.json_form import read_form, to_form
from squashproxy.pipeline.distinct_layers import parse_distinct
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.promotion.places import is_place_of
from squashproxy.promotion.results import ImageOutcome, ImageResult
from squashproxy.promotion.signatures import Attached
from squashproxy.promotion.step_runner import StepDone
from squashproxy.promotion.steps import Place, Step
from squashproxy.reference import check_tag, parse_reference
from squashproxy.registry.referrers import is_companion

_STEP = "the step of a promotion"
_DONE = "the result of a promotion's step"
_MOST_COMPANIONS = 200
"""With more of them, the worker lists the tags of the repository itself."""


@dataclass(frozen=True, slots=True)
class PlaceForm:
    """A Place."""

    use: str
    name: str
    digest: str | None
    there: str | None
    of: str | None


@dataclass(frozen=True, slots=True)
class StepForm:
    """A Step to copy.

    `companions` are the tags of the source's repository that belong to a manifest, which only exact
    copies look for; None where they are unknown or too many to be sent along.
    """

    source: str
    target: str
    source_digest: str
    existing: str | None
    tags: tuple[str, ...]
    referrers: tuple[str, ...]
    attestations: int
    untold: int
    beside: tuple[PlaceForm, ...]
    companions: tuple[str, ...] | None
    lacks_referrers: bool


@dataclass(frozen=True, slots=True)
class DoneForm:
    """A StepDone."""

    result: ImageResult
    plain: Mapping[Digest, int] | None
    held: Mapping[Digest, int] | None


def step_form(step: Step) -> dict[str, Any]:
    """A step to copy as JSON."""
    assert step.source_digest is not None, "what is to be copied was looked at"
    attached = step.attached
    return to_form(
        StepForm(
            source=str(step.source),
            target=str(step.target),
            source_digest=step.source_digest,
            existing=step.existing,
            tags=attached.tags,
            referrers=attached.referrers,
            attestations=attached.attestations,
            untold=attached.untold,
            beside=tuple(map(_place_form, step.beside)),
            companions=_companions(step),
            lacks_referrers=step.lacks_referrers,
        )
    )


def read_step(form: Mapping[str, Any], rule: PromoteRule, options: CopyOptions) -> Step:
    """The inverse of `step_form`, with the rule and its options.

    Raises FormatError where the form is malformed, or says what the rule would not do.
    """
    read = read_form(StepForm, form, _STEP)
    try:
        step = Step(
            rule=rule,
            source=parse_reference(read.source),
            target=parse_reference(read.target),
            options=options,
            outcome=ImageOutcome.COPY,
            source_digest=parse_digest(read.source_digest),
            existing=_digest(read.existing),
            attached=Attached(
                read.tags,
                tuple(map(parse_digest, read.referrers)),
                read.attestations,
                read.untold,
            ),
            beside=tuple(map(_place, read.beside)),
            tags=None if read.companions is None else frozenset(read.companions),
            lacks_referrers=read.lacks_referrers,
        )
        for tag in (*read.tags, *(read.companions or ())):
            check_tag(tag)
            if not is_companion(tag):
                raise FormatError(f"the tag {tag} belongs to no image")
    except (SquashproxyError, ValueError) as error:
        raise FormatError(f"{_STEP} is malformed: {error}") from error
    _check_names(step)
    return step


def done_form(done: StepDone) -> dict[str, Any]:
    """The result of a step as JSON."""
    layers = done.layers
    if layers is None:
        return to_form(DoneForm(done.result, None, None))
    return to_form(DoneForm(done.result, dict(layers.plain), dict(layers.held)))


def read_done(form: Mapping[str, Any], step: Step) -> StepDone:
    """The inverse of `done_form`. Raises FormatError, also for the result of another step."""
    read = read_form(DoneForm, form, _DONE)
    result = read.result
    told = (result.rule, result.source, result.target)
    if told != (step.rule.name, str(step.source), str(step.target)):
        raise FormatError(f"{_DONE} is that of {result.source} and not of {step.source}")
    try:
        for each in (result.digest, *(read.plain or ()), *(read.held or ())):
            _digest(each)
    except FormatError as error:
        raise FormatError(f"{_DONE} is malformed: {error}") from error
    if read.plain is None or read.held is None:
        return StepDone(result)
    return StepDone(result, parse_distinct({"plain": read.plain, "held": read.held}))


def _companions(step: Step) -> tuple[str, ...] | None:
    if step.tags is None or step.options.mode is not Mode.COPY:
        return None
    found = sorted(filter(is_companion, step.tags))
    return tuple(found) if len(found) <= _MOST_COMPANIONS else None


def _check_names(step: Step) -> None:
    """Raise FormatError where the rule does not promote a source to a target, or a tag beside it
    is none that the rule needs.
    """
    name = step.rule.name
    if not Route(step.rule).leads(step.source, step.target):
        raise FormatError(
            f"{_STEP} takes {step.source} to {step.target}, which the rule {name} does not"
        )
    for place in step.beside:
        if not is_place_of(step, place):
            raise FormatError(f"{_STEP} needs {place.name}, which the rule {name} does not")


def _place_form(place: Place) -> PlaceForm:
    of = None if place.of is None else str(place.of)
    return PlaceForm(place.use.value, str(place.name), place.digest, place.there, of)


def _place(form: PlaceForm) -> Place:
    return Place(
        Use(form.use),
        parse_reference(form.name),
        _digest(form.digest),
        _digest(form.there),
        None if form.of is None else parse_reference(form.of),
    )


def _digest(text: str | None) -> Digest | None:
    return None if text is None else parse_digest(text)
