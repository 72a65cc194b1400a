"""Places: the tags that a copy needs besides its target, and what they point to now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from squashproxy.config.promote import OnExisting, Signed
from squashproxy.config.succession import Use
from squashproxy.digest import Digest
from squashproxy.errors import UsageError
from squashproxy.pipeline.backup import fill_tag
from squashproxy.promotion.steps import Collision, Place, Step
from squashproxy.reference import Reference
from squashproxy.registry.client import RegistryClient


def with_places(step: Step, client: RegistryClient) -> Step:
    """The step with the tags that its copy needs; each costs a HEAD.

    Raises Collision where a name is too long for a tag, and RegistryError.
    """
    return replace(step, beside=tuple(_beside(step, client)))


def _beside(step: Step, client: RegistryClient) -> Iterator[Place]:
    rule = step.rule
    keeps_old = rule.on_existing is OnExisting.BACKUP
    if keeps_old and step.existing is not None and not step.lacks_referrers:
        yield _backup(step, step.target, step.existing, client)
    if not step.attached or rule.signed is not Signed.COPY:
        return
    name = _beside_of(step.target, "originals", rule.originals, step.source_digest)
    there = _there(name, client)
    yield Place(Use.ORIGINAL, name, step.source_digest, there)
    if keeps_old and there is not None and there != step.source_digest:
        yield _backup(step, name, there, client)


def _backup(step: Step, name: Reference, old: Digest, client: RegistryClient) -> Place:
    """The backup tag for the image that `name` points to."""
    spare = _beside_of(name, "backup", step.rule.backup, old)
    return Place(Use.BACKUP, spare, old, _there(spare, client), name)


def is_place_of(step: Step, place: Place) -> bool:
    """Whether the rule of a step needs such a tag beside the step's target."""
    original = original_name(step)
    if place.use is Use.ORIGINAL:
        return place.name == original and place.digest == step.source_digest
    if place.use is not Use.BACKUP or place.of is None or place.of not in (step.target, original):
        return False
    try:
        return place.name == _beside_of(place.of, "backup", step.rule.backup, place.digest)
    except Collision:
        return False


def original_name(step: Step) -> Reference | None:
    """The name for the original of a step's image; None if that name would be invalid."""
    try:
        return _beside_of(step.target, "originals", step.rule.originals, step.source_digest)
    except Collision:
        return None


def _beside_of(name: Reference, key: str, template: str, digest: Digest | None) -> Reference:
    try:
        return replace(name, tag=fill_tag(template, name.tag or "", digest))
    except UsageError as error:
        raise Collision(f"{key} of {name}: {error}") from error


def _there(name: Reference, client: RegistryClient) -> Digest | None:
    found = client.repository(name.repository).find_manifest(name.tag or "")
    return None if found is None else found.digest
