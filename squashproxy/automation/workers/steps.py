"""Source repositories scanned, and steps of a promotion carried out, by workers."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from squashproxy.automation.workers.jobs import FleetJobs
from squashproxy.automation.workers.rules import errand
from squashproxy.cancellation import Cancelled
from squashproxy.config.fingerprint import fingerprint
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import SquashproxyError
from squashproxy.fleet.job import JobKind, JobRequest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import options_hash
from squashproxy.progress import Observer
from squashproxy.promotion.scan import Scan
from squashproxy.promotion.scan_form import query_form, read_scanned
from squashproxy.promotion.step_form import read_done, step_form
from squashproxy.promotion.step_runner import StepDone
from squashproxy.promotion.steps import Step
from squashproxy.reference import Repository


@dataclass(frozen=True, slots=True)
class FleetStepRunner:
    """Has each step carried out by a worker; `watch` gives the observer for an image."""

    jobs: FleetJobs
    watch: Callable[[str], Observer]

    def run(self, step: Step) -> StepDone:
        """Wait for the job of a step. Raises SquashproxyError, also with the worker's sentence."""
        request = step_request(step, self.jobs.run_id)
        return read_done(self.jobs.run(request, self.watch(str(step.target))), step)


@dataclass(frozen=True, slots=True)
class FleetScanner:
    """Has repositories scanned by workers; `now` gives unix seconds."""

    jobs: FleetJobs
    observer: Observer
    now: Callable[[], float]
    at_once: int

    def scan(
        self,
        rule: PromoteRule,
        options: CopyOptions,
        listed: Container[Repository],
        repository: Repository,
    ) -> Scan:
        """Scan a repository; errors are problems. Raises Cancelled."""
        run = self.jobs.run_id
        task = query_form(repository, self.now(), is_listed=repository in listed)
        key = f"{run}\n{rule.name}\n{repository}"
        request = JobRequest(JobKind.SCAN, key, f"scan of {repository}", errand(rule, run, task))
        try:
            found = self.jobs.run(request, self.observer)
            return read_scanned(found, repository, rule, options)
        except Cancelled:
            raise
        except SquashproxyError as error:
            return Scan(None, problems=(f"{rule.name}: {repository}: {error}",))


def step_request(step: Step, run: str) -> JobRequest:
    """The job of a step that needs a copy: the same for all who want the same result."""
    decisive = (
        step.rule.name,
        fingerprint(step.rule),
        str(step.source_digest),
        str(step.source),
        str(step.target),
        options_hash(step.options),
    )
    return JobRequest(
        JobKind.PROMOTE,
        "\n".join(decisive),
        f"{step.source} to {step.target}",
        errand(step.rule, run, step_form(step)),
    )
