"""The tags that a copy needs beside its target, and whether they are free."""

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
from squashproxy.transports.documents import short


def with_places(step: Step, client: RegistryClient) -> Step:
    """A step with the places that its copy needs: a HEAD for each of them.

    Raises Collision where one of them is another image's, and RegistryError.
    """
    return replace(step, beside=tuple(_beside(step, client)))


def _beside(step: Step, client: RegistryClient) -> Iterator[Place]:
    rule = step.rule
    if step.existing is not None and rule.on_existing is OnExisting.BACKUP:
        yield _backup(step, step.target, step.existing, client)
    if not step.attached or rule.signed is not Signed.COPY:
        return
    original = _original(step, client)
    yield original
    if original.there in (None, original.digest):
        return
    if rule.on_existing is OnExisting.KEEP:
        raise Collision(
            f"the original of {step.source}, {_short(step.source_digest)}, would go to "
            f"{original.name}, but that points to another image, {_short(original.there)}, and "
            "on_existing: keep leaves it; write another template into 'originals', as in "
            "'{tag}-{digest}', or take that tag away"
        )
    if rule.on_existing is OnExisting.BACKUP:
        assert original.there is not None, "that it is there was seen above"
        yield _backup(step, original.name, original.there, client)


def _backup(step: Step, name: Reference, old: Digest, client: RegistryClient) -> Place:
    """Where what `name` points to is kept."""
    spare = _beside_of(name, "backup", step.rule.backup, old)
    there = _there(spare, client)
    if there not in (None, old):
        raise Collision(
            f"the old image of {name}, {short(old)}, would be kept as {spare}, but that points to "
            f"another image, {_short(there)}; write another template into 'backup', as in "
            "'{tag}-{digest}', or take that tag away"
        )
    return Place(Use.BACKUP, spare, old, there)


def _original(step: Step, client: RegistryClient) -> Place:
    name = _beside_of(step.target, "originals", step.rule.originals, step.source_digest)
    return Place(Use.ORIGINAL, name, step.source_digest, _there(name, client))


def original_name(step: Step) -> Reference | None:
    """Where the original of an image goes, or went when it was copied; None for no such name."""
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


def _short(digest: Digest | None) -> str:
    return "nothing" if digest is None else short(digest)
