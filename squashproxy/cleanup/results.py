"""What a cleanup did; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done: `deleted`, `untagged`, `squashed`, `gone`, `left` or `restored`.

    `gone` was away before, as after a run that broke off; `left` is still there; `restored` was put
    back, since somebody began to need it in the moment in which it was deleted.
    """

    action: str
    digest: str
    tags: tuple[str, ...]
    outcome: str
    why: str
    became: str | None = None


@dataclass(frozen=True, slots=True)
class RepositoryResult:
    """Of one repository; sizes in bytes. `problem` is why it stopped, None where it did not.

    `saved_bytes` is what squashing left out of images, counted once each.
    """

    rule: str
    repository: str
    steps: tuple[Step, ...]
    freed_bytes: int
    saved_bytes: int
    problem: str | None

    @property
    def changes(self) -> int:
        """Tags that went or were replaced, and manifests that went without one.

        They count against `max_deletions`.
        """
        changed = ("deleted", "untagged", "squashed")
        return sum(max(1, len(step.tags)) for step in self.steps if step.outcome in changed)

    def count(self, outcome: str) -> int:
        """How many steps ended so."""
        return sum(step.outcome == outcome for step in self.steps)


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """Of all rules; `log` is the audit log, None where nothing was to be deleted."""

    applied: bool
    repositories: tuple[RepositoryResult, ...]
    warnings: tuple[str, ...]
    log: str | None
    seconds: float

    @property
    def attempts(self) -> int:
        """What `failures` are among."""
        return len(self.repositories)

    @property
    def has_changed_anything(self) -> bool:
        """Whether any repository is not as it was."""
        return any(each.changes for each in self.repositories)

    @property
    def failures(self) -> int:
        """Repositories that stopped."""
        return sum(each.problem is not None for each in self.repositories)
