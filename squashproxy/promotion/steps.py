"""The plan of a promotion rule, image by image."""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Use
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.signatures import Attached
from squashproxy.reference import Reference, Repository


class Collision(SquashproxyError):
    """An image that would take a tag away from another one, so that it is left where it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tag that an image needs at its target.

    `digest` is what it is to point to, None where squashing decides; `there` is what it points to
    now, None for nothing. A backup is `of` the tag that points to its image until then.
    """

    use: Use
    name: Reference
    digest: Digest | None
    there: Digest | None
    of: Reference | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One image: from where to where, with which options, and what is to be done.

    `outcome` is `copy`, or how it ended already: `current`, `kept`, `refused` or `failed`. `beside`
    are the tags that a copy needs besides its target: for the old image, and for the original.
    """

    rule: PromoteRule
    source: Reference
    target: Reference
    options: CopyOptions
    outcome: ImageOutcome
    source_digest: Digest | None = None
    existing: Digest | None = None
    attached: Attached = field(default_factory=Attached)
    error: SquashproxyError | None = None
    beside: tuple[Place, ...] = ()

    @property
    def places(self) -> tuple[Place, ...]:
        """All tags that it needs, the target first."""
        return (Place(Use.TARGET, self.target, None, self.existing), *self.beside)

    @property
    def original(self) -> Place | None:
        """Where the original goes, None where it stays behind."""
        return next((place for place in self.beside if place.use is Use.ORIGINAL), None)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A repository of the source, and all its tags when it was looked at.

    `is_sound` says that the list held nothing but tags.
    """

    repository: Repository
    tags: tuple[str, ...]
    is_sound: bool = True


@dataclass(frozen=True, slots=True)
class RuleSteps:
    """What a rule would do; `seen` are the repositories that it looked through."""

    rule: PromoteRule
    steps: tuple[Step, ...]
    seen: tuple[Sighting, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
