"""What a cleanup would do, repository by repository. Values only."""

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
    """A tag that goes alone, since what it points to is needed."""

    tag: str
    digest: Digest
    why: str


@dataclass(frozen=True, slots=True)
class Removal:
    """A manifest that goes, with the tags that point to it; parents stand before children."""

    digest: Digest
    media_type: str
    size: int
    kind: str
    tags: tuple[str, ...]
    why: str

    @property
    def deletions(self) -> int:
        """All tags that go with it, or the manifest alone."""
        return max(1, len(self.tags))


@dataclass(frozen=True, slots=True)
class Squash:
    """An image that is squashed in place, for the tags that point to it."""

    digest: Digest
    tags: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """What happens in one repository. Sizes in bytes.

    `tags` is what they pointed to when this was planned; `bytes` what its blobs weigh, each once;
    `freed_bytes` how much of that nothing needs afterwards, which the registry's own garbage
    collection brings back. `left` says what was not touched although no rule keeps it, and why.
    `problem` is why there is no plan.
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
        """What counts against `max_deletions`: tags that go or are replaced, and manifests that
        go without one.
        """
        return (
            len(self.untag)
            + sum(each.deletions for each in self.remove)
            + sum(len(each.tags) for each in self.squash)
        )


@dataclass(frozen=True, slots=True)
class RulePlan:
    """What a rule would do; `made` in unix seconds. `refusal` says why it may not be applied."""

    rule: str
    action: str
    made: float
    repositories: tuple[RepositoryPlan, ...]
    warnings: tuple[str, ...] = ()
    refusal: str | None = None

    @property
    def deletions(self) -> int:
        """All of its repositories together."""
        return sum(each.deletions for each in self.repositories)


@dataclass(frozen=True, slots=True)
class CleanupPlan:
    """The plans of all rules; what a plan file holds."""

    rules: tuple[RulePlan, ...]
