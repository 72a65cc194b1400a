"""Carrying out one step of a promotion plan: in this process, or wherever a StepRunner does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from squashproxy.cancellation import Cancellation
from squashproxy.config.promote import OnExisting
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.bases.base_image import SourceOpener
from squashproxy.pipeline.bases.squashed_bases import SquashedBases
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.distinct_layers import DistinctLayers, distinct_layers
from squashproxy.pipeline.results import CopyResult
from squashproxy.pipeline.signatures.required import planned_signing
from squashproxy.progress import Observer
from squashproxy.promotion.hooks.hooks import run_hook
from squashproxy.promotion.originals import OriginalCopy
from squashproxy.promotion.results import ImageOutcome, ImageResult
from squashproxy.promotion.steps import Step
from squashproxy.registry.client import RegistryClient
from squashproxy.transports.registry import RegistrySink, RegistrySource


@dataclass(frozen=True, slots=True)
class StepDone:
    """The result of a step, and the layers of its image where it was copied."""

    result: ImageResult
    layers: DistinctLayers | None = None


class StepRunner(Protocol):
    """Carries out steps that need a copy; usable from several threads."""

    def run(self, step: Step) -> StepDone:
        """Carry out a step. Raises SquashproxyError where it fails."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStepRunner:
    """Carries out steps in this process.

    `watch` gives the observer for an image. `cancellation` ends copies and hooks.
    `squashed_bases` is what the images have found out about base repositories so far.
    """

    client: RegistryClient
    open_source: SourceOpener
    quick_source: SourceOpener
    watch: Callable[[str], Observer]
    cancellation: Cancellation
    squashed_bases: SquashedBases = field(default_factory=SquashedBases)

    def run(self, step: Step) -> StepDone:
        """Run the hooks, and copy the original and the image. Raises SquashproxyError."""
        started = time.monotonic()
        if (existing := self._pushed_meanwhile(step)) is not None:
            return StepDone(planned(replace(step, outcome=ImageOutcome.KEPT, existing=existing)))
        copied, warnings = self._copy(step)
        platforms = copied.platforms
        result = replace(
            planned(step),
            digest=copied.digest,
            outcome=ImageOutcome.CURRENT if copied.skipped else ImageOutcome.COPIED,
            warnings=warnings,
            seconds=round(time.monotonic() - started, 3),
            compressed_before=sum(each.compressed_before for each in platforms),
            compressed_after=sum(each.compressed_after for each in platforms),
            uploaded_bytes=sum(each.uploaded_bytes for each in platforms)
            + sum(each.uploaded_bytes for each in copied.referrers),
            reused_bytes=sum(each.reused_bytes for each in platforms),
            referrers=len(copied.referrers),
            signed_by=copied.signed_by,
            signatures=copied.signatures,
        )
        return StepDone(result, None if copied.skipped else distinct_layers(platforms))

    def _pushed_meanwhile(self, step: Step) -> Digest | None:
        """What was pushed to the target after planning, where the rule keeps that."""
        if step.rule.on_existing is not OnExisting.KEEP:
            return None
        there = RegistrySink(self.client, step.target).find_manifest()
        return None if step.lacks_referrers and there == step.existing else there

    def _copy(self, step: Step) -> tuple[CopyResult, tuple[str, ...]]:
        assert step.source_digest is not None, "what is to be copied was looked at"
        event = _event(step)
        hooks = step.rule.hooks
        observer = self.watch(str(step.target))
        if hooks.before is not None:
            run_hook(hooks.before, {"event": "before", **event}, self.cancellation.check)
        source = RegistrySource(self.client, step.source.at(step.source_digest), step.tags)
        sink = RegistrySink(self.client, step.target)
        warnings: list[str] = []
        if step.original is not None:
            warnings += OriginalCopy(
                self.client, step, step.original, observer, self.cancellation
            ).copy()
        else:
            warnings += _left_behind(step)
        copied = copy_image(
            source,
            sink,
            step.options,
            open_source=self.open_source,
            quick_source=self.quick_source,
            observer=observer,
            clock=time.monotonic,
            cancellation=self.cancellation,
            squashed_bases=self.squashed_bases,
            signed_by=step.signed_by,
        )
        warnings += copied.warnings
        if hooks.after is not None:
            done = {"event": "after", "digest": copied.digest, **event}
            try:
                run_hook(hooks.after, done, self.cancellation.check)
            except SquashproxyError as error:
                warnings.append(f"{step.target} is promoted, but {error}")
        return copied, tuple(warnings)


def planned(step: Step) -> ImageResult:
    """A step as a result, before anything is copied."""
    return ImageResult(
        rule=step.rule.name,
        source=str(step.source),
        source_digest=step.source_digest,
        target=str(step.target),
        digest=step.existing,
        outcome=step.outcome,
        error=None if step.error is None else str(step.error),
        mode=step.rule.mode,
        signed_by=step.signed_by,
    )


def foreseen(step: Step) -> ImageResult:
    """A step as the result of a dry run, with what would be signed and what would stay behind."""
    result = planned(step)
    if step.outcome is not ImageOutcome.COPY:
        return result
    return replace(result, warnings=_left_behind(step), to_sign=planned_signing(step.options))


def _left_behind(step: Step) -> tuple[str, ...]:
    """A sentence on what refers to a source and is not copied, if there is anything."""
    if step.original is not None or not step.attached:
        return ()
    return (f"{step.source} has {step.attached}, which stay behind",)


def _event(step: Step) -> dict[str, Any]:
    return {
        "rule": step.rule.name,
        "source": str(step.source),
        "source_digest": step.source_digest,
        "target": str(step.target),
        "replaces": step.existing,
    }
