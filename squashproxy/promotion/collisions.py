"""Collisions: images that would take a tag from each other, found before anything is copied.

A tag belongs to the image that needs it in this run: as its target, as the backup of the image that
was there, or as the copy of a signed original. Tags that rules wrote earlier belong to them as long
as they would write them again. So a second run over the same sources changes nothing, and no image
loses its only tag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from squashproxy.config.promote import OnExisting, Signed
from squashproxy.config.succession import Key, Use, key_of
from squashproxy.digest import Digest
from squashproxy.pipeline.stamp import options_hash
from squashproxy.promotion.owners import Owners
from squashproxy.promotion.places import original_name
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.steps import Collision, Place, Step
from squashproxy.transports.documents import short

Claims = dict[Key, tuple[Step, Place]]
"""The tags that rules planned earlier in this run need."""

_ADVICE = {
    Use.TARGET: "write {path}, {name} or {tag} into 'to', or leave one of them out",
    Use.BACKUP: "write another template into 'backup', as in '{tag}-{digest}'",
    Use.ORIGINAL: "write another template into 'originals', as in '{tag}-{digest}'",
}

_FREE_BACKUP = f"{_ADVICE[Use.BACKUP]}, or take that tag away"
_FREE_ORIGINAL = f"{_ADVICE[Use.ORIGINAL]}, or take that tag away"


def settle(steps: Sequence[Step], owners: Owners, earlier: Claims) -> list[Step]:
    """Refuse the steps that need a tag of another step; return all steps.

    If two steps that are still to be copied need the same tag, both are refused. The tags that
    these steps need are added to `earlier`.
    """
    judge = _Judge(steps, owners, earlier)
    found = [judge.judged(step) for step in steps]
    for step in found:
        if step.outcome != ImageOutcome.REFUSED:
            earlier.update({key_of(place.name): (step, place) for place in step.places})
    return found


class _Judge:
    def __init__(self, steps: Sequence[Step], owners: Owners, earlier: Claims) -> None:
        self._owners = owners
        self._earlier = earlier
        self._wanted: defaultdict[Key, list[tuple[Step, Place]]] = defaultdict(list)
        self._originals: dict[tuple[Key, Digest], Step] = {}
        for step in steps:
            for place in step.places:
                self._wanted[key_of(place.name)].append((step, place))
            self._note_original(step)

    def judged(self, step: Step) -> Step:
        """The step; refused if it is still to be copied but one of its tags belongs to another."""
        if step.outcome != ImageOutcome.COPY:
            return step
        sentences = (found for place in step.places for found in self._troubles(step, place))
        sentence = next(sentences, None)
        if sentence is None:
            return step
        return replace(step, outcome=ImageOutcome.REFUSED, error=Collision(sentence))

    def _note_original(self, step: Step) -> None:
        """Note the original of an image that is up to date: it may be there already, too."""
        if step.outcome == ImageOutcome.COPY or step.rule.signed is not Signed.COPY:
            return
        name = original_name(step)
        if name is not None and step.source_digest is not None:
            self._originals[key_of(name), step.source_digest] = step

    def _troubles(self, step: Step, place: Place) -> Iterator[str]:
        """The reasons why a step cannot have a tag, the simplest one first."""
        key = key_of(place.name)
        for other, theirs in self._wanted[key]:
            is_itself = other is step and theirs == place
            if not is_itself and not _is_one_image(place, theirs):
                yield _sentence(step, place, other, theirs)
        if key in self._earlier:
            other, theirs = self._earlier[key]
            if not _is_one_image(place, theirs) and not _is_one_copy(step, place, other, theirs):
                yield f"{_sentence(step, place, other, theirs)} (rule {other.rule.name})"
        if place.there is not None and place.there != place.digest:
            yield from self._losses(step, place, key, place.there)

    def _losses(self, step: Step, place: Place, key: Key, there: Digest) -> Iterator[str]:
        """The reasons why the image that would lose the tag is still needed."""
        other = self._originals.get((key, there))
        if other is not None and other is not step:
            yield _sentence(step, place, other, Place(Use.ORIGINAL, place.name, there, there))
        promoted = self._owners.of_this_rule(place.name, there)
        ours = "" if promoted is None else f", which this rule promoted from {promoted.source}"
        policy = step.rule.on_existing
        if place.use is Use.BACKUP:
            yield f"{_wish(step, place)}, but that points to {_other(there)}{ours}; {_FREE_BACKUP}"
        elif place.use is Use.ORIGINAL and policy is OnExisting.KEEP:
            yield (
                f"{_wish(step, place)}, but that points to {_other(there)}{ours}, and on_existing: "
                f"keep leaves it; {_FREE_ORIGINAL}"
            )
        elif place.use is Use.ORIGINAL and ours:
            yield f"{_wish(step, place)}{ours}; {_ADVICE[place.use]}"
        theirs = self._owners.of_another(place.name, there)
        if theirs is not None:
            name, promoted = theirs
            yield (
                f"{_wish(step, place)}, which the rule {name} promotes from {promoted.source}, so "
                f"that the two would replace each other's image in turn; {_ADVICE[place.use]}"
            )


def _is_one_image(one: Place, other: Place) -> bool:
    """Whether both would point the tag to the same image."""
    return one.digest is not None and one.digest == other.digest


def _is_one_copy(step: Step, place: Place, other: Step, theirs: Place) -> bool:
    """Whether an earlier rule makes the same image from the same source."""
    return (
        place.use is theirs.use is Use.TARGET
        and (key_of(step.source), step.source.digest) == (key_of(other.source), other.source.digest)
        and options_hash(step.options) == options_hash(other.options)
    )


def _sentence(step: Step, place: Place, other: Step, theirs: Place) -> str:
    use = place.use if place.use is not Use.TARGET else theirs.use
    return f"{_wish(step, place)}, {_claim(other, theirs)}; {_ADVICE[use]}"


def _wish(step: Step, place: Place) -> str:
    if place.use is Use.TARGET:
        return f"{step.source} goes to {place.name}"
    if place.use is Use.ORIGINAL:
        return f"the original of {step.source} would go to {place.name}"
    return f"the old image of {place.of or step.target} would be kept as {place.name}"


def _claim(step: Step, place: Place) -> str:
    if place.use is Use.TARGET:
        return f"where {step.source} goes"
    if place.use is Use.ORIGINAL:
        return f"where the original of {step.source} is kept"
    return f"where the old image of {place.of or step.target} would be kept"


def _other(digest: Digest) -> str:
    return f"another image, {short(digest)}"
