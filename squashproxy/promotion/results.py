"""What a promotion plans and does; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.cleanup.results import RepositoryResult


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image. `outcome` is `copied`, `current`, `kept`, `refused` or `failed`; in a plan `copy`.

    What is `refused` was not touched: it is signed, or would take a tag from another image. Sizes
    in bytes, of all platforms together; `error` says why it failed or was refused.
    """

    rule: str
    source: str
    source_digest: str | None
    target: str
    digest: str | None
    outcome: str
    error: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    compressed_before: int = 0
    compressed_after: int = 0
    uploaded_bytes: int = 0
    reused_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PromoteResult:
    """All images of all rules; `dry_run` says that nothing was moved.

    `mirrored` is what was deleted at targets since the source lost it; `problems` are rules that
    could not be planned, repositories that could not be listed, and names that no image can have.
    """

    dry_run: bool
    images: tuple[ImageResult, ...]
    mirrored: tuple[RepositoryResult, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    log: str | None
    seconds: float

    def count(self, outcome: str) -> int:
        """How many images ended so."""
        return sum(image.outcome == outcome for image in self.images)

    @property
    def failures(self) -> int:
        """What did not do what it should."""
        stopped = sum(each.problem is not None for each in self.mirrored)
        return self.count("failed") + self.count("refused") + len(self.problems) + stopped

    @property
    def attempts(self) -> int:
        """What `failures` are among."""
        return len(self.images) + len(self.mirrored) + len(self.problems)

    @property
    def saved_bytes(self) -> int:
        """What squashing left out of images that were copied, compressed, in bytes."""
        return sum(
            max(0, image.compressed_before - image.compressed_after)
            for image in self.images
            if image.outcome == "copied"
        )
