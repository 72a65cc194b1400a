"""Carrying out a promotion plan: several images at once; a failure does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.promotion.base_order import order_steps
from squashproxy.promotion.results import ImageOutcome, ImageResult
from squashproxy.promotion.step_runner import StepRunner, planned
from squashproxy.promotion.steps import Step
from squashproxy.registry.client import RegistryClient
from squashproxy.state.promotions import Promoted, PromotionMemory


class Stopped(SquashproxyError):
    """The run was asked to stop before this image began."""


@dataclass(frozen=True, slots=True)
class Promoter:
    """Has the planned images copied by `runner`, `at_once` at a time.

    `on_result` is called with each result, from any thread. No image begins after `cancellation`
    was stopped, and it is cancelled when the caller is interrupted.
    """

    client: RegistryClient
    memory: PromotionMemory
    runner: StepRunner
    on_result: Callable[[ImageResult], None]
    cancellation: Cancellation
    at_once: int

    def promote(self, steps: Sequence[Step]) -> list[ImageResult]:
        """The results of the steps, in their order.

        An image waits for its bases among them. These were begun before it, so that some image can
        always go on.
        """
        wanted = order_steps(steps, self.client)
        copies = [number for number in wanted.order if steps[number].outcome is ImageOutcome.COPY]
        running: dict[int, Future[ImageResult]] = {}
        with ThreadPoolExecutor(self.at_once, "squashproxy-promote") as pool:
            for number in copies:
                bases = [running[base] for base in wanted.bases.get(number, ())]
                running[number] = pool.submit(self._finished, steps[number], bases)
            try:
                settled = self._settled(steps)
                return [
                    running[number].result() if number in running else settled[number]
                    for number in range(len(steps))
                ]
            except BaseException:
                self.cancellation.cancel()
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _settled(self, steps: Sequence[Step]) -> dict[int, ImageResult]:
        """The results of the steps that need no copy, by their numbers."""
        done = {n: step for n, step in enumerate(steps) if step.outcome is not ImageOutcome.COPY}
        self.memory.note_all(
            (step.rule.name, Promoted(step.target, step.source, step.existing))
            for step in done.values()
            if step.outcome is ImageOutcome.CURRENT and step.existing is not None
        )
        results = {number: planned(step) for number, step in done.items()}
        for result in results.values():
            self.on_result(result)
        return results

    def _finished(self, step: Step, bases: Sequence[Future[ImageResult]]) -> ImageResult:
        wait(bases)
        result = self._result(step)
        self.on_result(result)
        return result

    def _result(self, step: Step) -> ImageResult:
        started = time.monotonic()
        try:
            if self.cancellation.is_stopping:
                raise Stopped(f"{step.source} was not begun, since this process ends")
            done = self.runner.run(step)
        except SquashproxyError as error:
            failed = replace(step, outcome=ImageOutcome.FAILED, error=error)
            return replace(planned(failed), seconds=round(time.monotonic() - started, 3))
        result = done.result
        if result.outcome is not ImageOutcome.KEPT and result.digest is not None:
            there = Promoted(step.target, step.source, Digest(result.digest), done.layers)
            self.memory.note(step.rule.name, there)
        return result
