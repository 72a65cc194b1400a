"""The plan of a cleanup, repository by repository. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest


@dataclass(frozen=True, slots=True)
class KeptTag:
    """A tag that stays."""

    tag: str
    digest: Digest
    why: str


@dataclass(frozen=True, slots=True)
class Untag:
    """A tag that is deleted without its manifest, which something else needs."""

    tag: str
    digest: Digest
    why: str


@dataclass(frozen=True, slots=True)
class Removal:
    """A manifest that is deleted with all its tags. Parents come before children."""

    digest: Digest
    media_type: str
    size: int
    kind: str
    tags: tuple[str, ...]
    why: str

    @property
    def deletions(self) -> int:
        """The number of tags that are deleted with it; 1 for a manifest without a tag."""
        return max(1, len(self.tags))


@dataclass(frozen=True, slots=True)
class Squash:
    """An image that is squashed in place, and the tags that point to it."""

    digest: Digest
    tags: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """The plan for one repository. Sizes in bytes.

    `tags` maps each tag to its digest at the time of planning. `bytes` is the size of all blobs,
    each counted once; `freed_bytes` is the size of the blobs that nothing needs afterwards, which
    the registry's own garbage collection frees. `left` lists things that the rule does not keep but
    the plan leaves alone, with the reason. `problem` says why there is not a plan.
    """

    repository: str
    tags: Mapping[str, Digest]
    kept: tuple[KeptTag, ...] = ()
    untag: tuple[Untag, ...] = ()
    remove: tuple[Removal, ...] = ()
    squash: tuple[Squash, ...] = ()
    left: tuple[KeptTag, ...] = ()
    manifests: int = 0
    bytes: int = 0
    freed_bytes: int = 0
    warnings: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def deletions(self) -> int:
        """The number that counts against `max_deletions`: tags that are deleted or replaced, and
        manifests deleted without a tag.
        """
        return (
            len(self.untag)
            + sum(each.deletions for each in self.remove)
            + sum(len(each.tags) for each in self.squash)
        )


@dataclass(frozen=True, slots=True)
class RulePlan:
    """The plan of a rule; `made` in unix seconds. `refusal` says why it may not be applied."""

    rule: str
    action: str
    made: float
    repositories: tuple[RepositoryPlan, ...]
    warnings: tuple[str, ...] = ()
    refusal: str | None = None

    @property
    def deletions(self) -> int:
        """The sum over its repositories."""
        return sum(each.deletions for each in self.repositories)


@dataclass(frozen=True, slots=True)
class CleanupPlan:
    """The plans of all rules; what a plan file holds."""

    rules: tuple[RulePlan, ...]
