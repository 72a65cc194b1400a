"""Carrying out a promotion plan: several images at once; a failure does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from squashproxy.cancellation import Cancellation
from squashproxy.config.promote import OnExisting
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.bases.base_image import SourceOpener
from squashproxy.pipeline.bases.squashed_bases import SquashedBases
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.distinct_layers import distinct_layers
from squashproxy.pipeline.results import CopyResult, PlatformCopy
from squashproxy.progress import Observer
from squashproxy.promotion.base_order import order_steps
from squashproxy.promotion.hooks.hooks import run_hook
from squashproxy.promotion.originals import OriginalCopy
from squashproxy.promotion.results import ImageOutcome, ImageResult
from squashproxy.promotion.steps import Step
from squashproxy.registry.client import RegistryClient
from squashproxy.state.promotions import Promoted, PromotionMemory
from squashproxy.transports.registry import RegistrySink, RegistrySource


class Stopped(SquashproxyError):
    """The run was asked to stop before this image began."""


@dataclass(frozen=True, slots=True)
class Promoter:
    """Copies the planned images, `at_once` at a time.

    `watch` gives the observer for an image. `on_result` is called with each result, from any
    thread. `cancellation` ends copies and hooks; it is cancelled when the caller is interrupted.
    `squashed_bases` is what the images have found out about base repositories so far.
    """

    client: RegistryClient
    memory: PromotionMemory
    open_source: SourceOpener
    quick_source: SourceOpener
    watch: Callable[[str], Observer]
    on_result: Callable[[ImageResult], None]
    cancellation: Cancellation
    at_once: int
    squashed_bases: SquashedBases = field(default_factory=SquashedBases)

    def promote(self, steps: Sequence[Step]) -> list[ImageResult]:
        """The results of the steps, in their order.

        An image waits for its bases among them. These were begun before it, so that some image can
        always go on.
        """
        wanted = order_steps(steps, self.client)
        running: dict[int, Future[ImageResult]] = {}
        with ThreadPoolExecutor(self.at_once, "squashproxy-promote") as pool:
            for number in wanted.order:
                bases = [running[base] for base in wanted.bases.get(number, ())]
                running[number] = pool.submit(self._finished, steps[number], bases)
            try:
                return [running[number].result() for number in range(len(steps))]
            except BaseException:
                self.cancellation.cancel()
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _finished(self, step: Step, bases: Sequence[Future[ImageResult]]) -> ImageResult:
        wait(bases)
        result = self._result(step)
        self.on_result(result)
        return result

    def _result(self, step: Step) -> ImageResult:
        if step.outcome != ImageOutcome.COPY:
            self._remember(step, step.existing)
            return planned(step)
        started = time.monotonic()
        try:
            if self.cancellation.is_stopping:
                raise Stopped(f"{step.source} was not begun, since this process ends")
            if (existing := self._pushed_meanwhile(step)) is not None:
                return planned(replace(step, outcome=ImageOutcome.KEPT, existing=existing))
            copied, warnings = self._copy(step)
        except SquashproxyError as error:
            failed = replace(step, outcome=ImageOutcome.FAILED, error=error)
            return replace(planned(failed), seconds=round(time.monotonic() - started, 3))
        platforms = copied.platforms
        self._remember(step, Digest(copied.digest), None if copied.skipped else platforms)
        return replace(
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
        )

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
        elif step.attached:
            warnings.append(f"{step.source} has {step.attached}, which stay behind")
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
        )
        warnings += copied.warnings
        if hooks.after is not None:
            done = {"event": "after", "digest": copied.digest, **event}
            try:
                run_hook(hooks.after, done, self.cancellation.check)
            except SquashproxyError as error:
                warnings.append(f"{step.target} is promoted, but {error}")
        return copied, tuple(warnings)

    def _remember(
        self, step: Step, digest: Digest | None, copied: Sequence[PlatformCopy] | None = None
    ) -> None:
        if digest is not None and step.outcome in (ImageOutcome.COPY, ImageOutcome.CURRENT):
            layers = None if copied is None else distinct_layers(copied)
            self.memory.note(step.rule.name, Promoted(step.target, step.source, digest, layers))


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
    )


def _event(step: Step) -> dict[str, Any]:
    return {
        "rule": step.rule.name,
        "source": str(step.source),
        "source_digest": step.source_digest,
        "target": str(step.target),
        "replaces": step.existing,
    }
