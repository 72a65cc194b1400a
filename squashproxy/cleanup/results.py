"""The results of a cleanup; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from squashproxy.pipeline.signatures.results import ResultSignature


class StepOutcome(StrEnum):
    """How a step of a cleanup or an undo ended."""

    DELETED = "deleted"
    """The manifest was deleted, with its tags."""
    UNTAGGED = "untagged"
    """The tag was deleted; its manifest stays."""
    SQUASHED = "squashed"
    """The tag points to the squashed image now."""
    GONE = "gone"
    """It did not exist any more, as after a run that broke off."""
    LEFT = "left"
    """It was left; the step says why."""
    RESTORED = "restored"
    """It was put back: something needed it at the moment of its deletion, or an undo."""
    FAILED = "failed"
    """An undo could not put it back."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a cleanup, and how it ended. `signatures` are those of the squashed image."""

    action: str
    digest: str
    tags: tuple[str, ...]
    outcome: StepOutcome
    why: str
    became: str | None = None
    signatures: tuple[ResultSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryResult:
    """The steps in one repository; sizes in bytes. `problem` says why it stopped early, if it did.

    `saved_bytes` is the size that squashing saved, with each image counted once. It is a sum over
    images; `distinct_before` and `distinct_after` count each layer of the squashed images once, as
    the repository stores it. `distinct_after` may be larger, where images shared layers.
    """

    rule: str
    repository: str
    steps: tuple[Step, ...]
    freed_bytes: int
    saved_bytes: int
    problem: str | None
    distinct_before: int = 0
    distinct_after: int = 0

    @property
    def changes(self) -> int:
        """The number of tags deleted or replaced, and of manifests deleted without a tag.

        They count against `max_deletions`.
        """
        changed = (StepOutcome.DELETED, StepOutcome.UNTAGGED, StepOutcome.SQUASHED)
        return sum(max(1, len(step.tags)) for step in self.steps if step.outcome in changed)

    def count(self, outcome: StepOutcome) -> int:
        """The number of steps with this outcome."""
        return sum(step.outcome == outcome for step in self.steps)


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """The results of all rules; `log` is the audit log, None where nothing was to be deleted."""

    applied: bool
    repositories: tuple[RepositoryResult, ...]
    warnings: tuple[str, ...]
    log: str | None
    seconds: float

    @property
    def attempts(self) -> int:
        """The number of repositories, of which `failures` stopped early."""
        return len(self.repositories)

    @property
    def has_changed_anything(self) -> bool:
        """Whether any repository was changed."""
        return any(each.changes for each in self.repositories)

    @property
    def failures(self) -> int:
        """The number of repositories that stopped early."""
        return sum(each.problem is not None for each in self.repositories)
