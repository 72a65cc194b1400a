"""What a cleanup did; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was to be done: `deleted`, `untagged`, `squashed`, `gone` or `left`, and why.

    `gone` was away before, as after a run that broke off; `left` is still there.
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
        """How many steps changed something: what counts against `max_deletions`."""
        return sum(self.count(outcome) for outcome in ("deleted", "untagged", "squashed"))

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
    def failures(self) -> int:
        """Repositories that stopped."""
        return sum(each.problem is not None for each in self.repositories)
