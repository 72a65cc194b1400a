"""The results of a promotion, planned or done; the field names are those of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from squashproxy.cleanup.results import RepositoryResult
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.signatures.results import (
    PlannedSigning,
    ResultSignature,
    SourceSignature,
)


class ImageOutcome(StrEnum):
    """How the promotion of an image ended, or how a plan expects it to."""

    COPY = "copy"
    """It is to be copied; in plans only."""
    COPIED = "copied"
    """It was copied."""
    CURRENT = "current"
    """The target was up to date."""
    KEPT = "kept"
    """The target has another image, which the rule keeps."""
    REFUSED = "refused"
    """It was not touched: it is signed, or would take a tag from another image."""
    FAILED = "failed"
    """It could not be copied."""


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image. Sizes in bytes, of all platforms together.

    `error` says why it failed or was refused. `referrers` is how many signatures and other
    referrers were copied with it. `signed_by` are the required signatures of the source, `to_sign`
    is how a plan expects the result to be signed, and `signatures` are those of the result.
    """

    rule: str
    source: str
    source_digest: str | None
    target: str
    digest: str | None
    outcome: ImageOutcome
    error: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    compressed_before: int = 0
    compressed_after: int = 0
    uploaded_bytes: int = 0
    reused_bytes: int = 0
    mode: Mode = Mode.SQUASH
    referrers: int = 0
    signed_by: tuple[SourceSignature, ...] = ()
    to_sign: PlannedSigning | None = None
    signatures: tuple[ResultSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class PromoteResult:
    """The results of all rules; `dry_run` says that nothing was copied.

    `mirrored` is what was deleted at targets because the source lost it. `problems` are rules that
    could not be planned, repositories that could not be listed, and names that no image can have.

    `distinct_after` is what the layers of images that were copied or up to date hold in the target,
    each layer counted once for each registry; `distinct_before` is what plain copies of the same
    images would hold there. Both count `distinct_images` images; the layers of others, which were
    promoted before this was recorded, are not known.
    """

    dry_run: bool
    images: tuple[ImageResult, ...]
    mirrored: tuple[RepositoryResult, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    log: str | None
    seconds: float
    distinct_before: int = 0
    distinct_after: int = 0
    distinct_images: int = 0

    def count(self, outcome: ImageOutcome) -> int:
        """The number of images with this outcome."""
        return sum(image.outcome == outcome for image in self.images)

    @property
    def failures(self) -> int:
        """The number of images, repositories and rules that failed or were refused."""
        stopped = sum(each.problem is not None for each in self.mirrored)
        return (
            self.count(ImageOutcome.FAILED)
            + self.count(ImageOutcome.REFUSED)
            + len(self.problems)
            + stopped
        )

    @property
    def attempts(self) -> int:
        """The number of images, mirrored repositories and problems."""
        return len(self.images) + len(self.mirrored) + len(self.problems)

    @property
    def saved_bytes(self) -> int:
        """What squashing left out of images that were copied, compressed, in bytes.

        This is a sum over images, in which a layer that several of them have counts each time.
        """
        return sum(
            max(0, image.compressed_before - image.compressed_after)
            for image in self.images
            if image.outcome == ImageOutcome.COPIED
        )
