"""The plan of a promotion rule, image by image."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Use
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.signatures.results import SourceSignature
from squashproxy.promotion.results import ImageOutcome
from squashproxy.promotion.signatures import Attached
from squashproxy.reference import Reference, Repository

_NOTHING = Attached()


class Collision(SquashproxyError):
    """An image that is not copied, since it would take a tag from another one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tag that an image needs.

    `digest` is what it will point to, None if only squashing can tell; `there` is what it points to
    now, None for nothing. For a backup, `of` is the tag that pointed to the image before.
    """

    use: Use
    name: Reference
    digest: Digest | None
    there: Digest | None
    of: Reference | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One image: source, target, options, and what is to be done.

    `outcome` is COPY if there is something to do, else how the step ended already. `beside` are the
    tags that a copy needs besides its target: for the backup and for the original. `tags` are all
    tags of the source's repository, None where they were not listed. With `lacks_referrers`, the
    image itself is at the target. `signed_by` are the required signatures of `source_digest`.
    """

    rule: PromoteRule
    source: Reference
    target: Reference
    options: CopyOptions
    outcome: ImageOutcome
    source_digest: Digest | None = None
    existing: Digest | None = None
    attached: Attached = _NOTHING
    error: SquashproxyError | None = None
    beside: tuple[Place, ...] = ()
    tags: frozenset[str] | None = None
    lacks_referrers: bool = False
    signed_by: tuple[SourceSignature, ...] = ()

    @property
    def places(self) -> tuple[Place, ...]:
        """All tags that the step needs, the target first."""
        return (Place(Use.TARGET, self.target, None, self.existing), *self.beside)

    @property
    def original(self) -> Place | None:
        """The tag for the original; None where the original is not copied."""
        return next((place for place in self.beside if place.use is Use.ORIGINAL), None)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A source repository, and all its tags at the time of the listing.

    `is_sound` says that the list held only valid tags.
    """

    repository: Repository
    tags: tuple[str, ...]
    is_sound: bool = True


@dataclass(frozen=True, slots=True)
class RuleSteps:
    """The plan of a rule; `seen` are the repositories that were listed for it."""

    rule: PromoteRule
    steps: tuple[Step, ...]
    seen: tuple[Sighting, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
