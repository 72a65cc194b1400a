"""Repositories planned and cleaned up by workers.

A worker does only those steps of a plan that its own rule would do now: who can write to the broker
may have written the plan. Those that only this process can vouch for are done here.

What runs remember of a repository, and the audit log, stay with the process that asks. An apply
job writes each deletion down before it happens, in a journal of the broker and in a log of the
worker's own; what the journal holds is taken over into the audit log here while the job runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from uuid import uuid4

from squashproxy.automation.workers.audit_journal import JournalCopy
from squashproxy.automation.workers.jobs import FleetJobs
from squashproxy.automation.workers.rules import errand
from squashproxy.cancellation import Cancelled
from squashproxy.cleanup.apply.apply import RepositoryApplier, untouched
from squashproxy.cleanup.apply.audit_log import AuditTrail
from squashproxy.cleanup.apply.distrust import CannotJudge
from squashproxy.cleanup.forms import (
    Remembered,
    apply_form,
    query_form,
    read_applied,
    read_planned,
)
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.repository_planner import PlanQuery
from squashproxy.cleanup.results import RepositoryResult, Step
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import SquashproxyError
from squashproxy.fleet.errors import BrokerAway, JobFailed
from squashproxy.fleet.job import JobKind, JobRequest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Observer
from squashproxy.reference import Repository, parse_repository
from squashproxy.state.tags import TagMemory

_LOG = logging.getLogger("squashproxy.automation")
_COPY_SECONDS = 1.0
"""How often a journal is looked at while its job runs."""


@dataclass(frozen=True, slots=True)
class FleetRepositoryPlanner:
    """Has repositories planned by workers."""

    jobs: FleetJobs
    tags: TagMemory
    observer: Observer

    def plan(self, query: PlanQuery) -> RepositoryPlan:
        """The plan, or one with a problem. Raises Cancelled."""
        repository = query.repository
        run = self.jobs.run_id
        body = errand(query.rule, run, query_form(query, remembered(self.tags, repository)))
        request = JobRequest(JobKind.PLAN, f"{run}\n{repository}", f"plan of {repository}", body)
        try:
            planned = read_planned(self.jobs.run(request, self.observer), repository)
        except Cancelled:
            raise
        except SquashproxyError as error:
            return RepositoryPlan(str(repository), {}, problem=str(error))
        keep_known(self.tags, repository, planned.known)
        return planned.plan


@dataclass(frozen=True, slots=True)
class FleetApplier:
    """Has the plans of repositories applied by workers; `rules` are by name.

    `here` applies in this process what workers leave to it, one repository at a time. `now` gives
    unix seconds; `on_step` is called with each step and its repository. `check` raises where
    another process may apply plans of the same rule by now.
    """

    jobs: FleetJobs
    here: RepositoryApplier
    rules: Mapping[str, CleanupRule]
    tags: TagMemory
    log: AuditTrail
    now: Callable[[], float]
    observer: Observer
    on_step: Callable[[str, Step], None]
    check: Callable[[], None]
    lock: Lock = field(default_factory=Lock)

    def apply(
        self,
        rule: str,
        plan: RepositoryPlan,
        options: CopyOptions,
        *,
        is_exact: bool = False,
    ) -> RepositoryResult:
        """Apply the plan of one repository; its errors are part of the result.

        A worker works out the options from its own rule.
        """
        if plan.problem is not None or not plan.deletions:
            return untouched(rule, plan)
        result = self._by_worker(rule, plan, is_exact=is_exact)
        if result is None:
            return self._here(rule, plan, options, is_exact=is_exact)
        for step in result.steps:
            self.on_step(plan.repository, step)
        left = _left(plan, result)
        if result.problem is not None or not left.deletions:
            return result
        return _joined(result, self._here(rule, left, options, is_exact=False))

    def _by_worker(
        self, rule: str, plan: RepositoryPlan, *, is_exact: bool
    ) -> RepositoryResult | None:
        """The result of a worker; None where workers cannot judge a plan of this rule."""
        repository = parse_repository(plan.repository)
        journal = uuid4().hex
        task = apply_form(
            plan, remembered(self.tags, repository), self.now(), journal, is_exact=is_exact
        )
        body = errand(self.rules[rule], self.jobs.run_id, task)
        request = JobRequest(JobKind.APPLY, journal, f"cleanup of {repository}", body)
        copy = JournalCopy(self.jobs.journal(journal), self.log, plan, rule)
        try:
            self.check()
            with _copied(copy, self.jobs.cancel):
                answer = self.jobs.run(request, self.observer)
            applied = read_applied(answer, rule, plan.repository)
        except SquashproxyError as error:
            if isinstance(error, JobFailed) and error.kind == CannotJudge.__name__:
                _LOG.info("%s; so this process cleans up %s itself", error.fact, repository)
                return None
            return copy.broken(str(error))
        keep_known(self.tags, repository, applied.known)
        return copy.completed(applied.result)

    def _here(
        self, rule: str, plan: RepositoryPlan, options: CopyOptions, *, is_exact: bool
    ) -> RepositoryResult:
        with self.lock:
            try:
                self.check()
            except SquashproxyError as error:
                return untouched(rule, replace(plan, problem=str(error)))
            return self.here.apply(rule, plan, options, is_exact=is_exact)


def _left(plan: RepositoryPlan, result: RepositoryResult) -> RepositoryPlan:
    """What a worker did not do of a plan, nor say why."""
    done = {(step.action, step.digest) for step in result.steps}
    return replace(
        plan,
        untag=tuple(each for each in plan.untag if ("untag", each.digest) not in done),
        remove=tuple(each for each in plan.remove if ("delete", each.digest) not in done),
        squash=tuple(each for each in plan.squash if ("squash", each.digest) not in done),
    )


def _joined(first: RepositoryResult, then: RepositoryResult) -> RepositoryResult:
    """The result of a plan of which a worker did one part, and this process the other."""
    return replace(
        first,
        steps=(*first.steps, *then.steps),
        freed_bytes=min(first.freed_bytes, then.freed_bytes),
        saved_bytes=first.saved_bytes + then.saved_bytes,
        problem=then.problem,
        distinct_before=first.distinct_before + then.distinct_before,
        distinct_after=first.distinct_after + then.distinct_after,
    )


def remembered(tags: TagMemory, repository: Repository) -> Remembered:
    """What the state knows of a repository."""
    return Remembered(tags.tags(repository), tags.untagged(repository))


def keep_known(tags: TagMemory, repository: Repository, known: Remembered) -> None:
    """Write into the state what is known of a repository now."""
    tags.replace(repository, known.tags, known.untagged)


@contextmanager
def _copied(copy: JournalCopy, stop: Callable[[], None]) -> Iterator[None]:
    """Copy a journal while its job runs, and what is left of it at the end.

    Where the audit log cannot be written, `stop` is called: nothing is deleted without it.
    """
    over = Event()

    def work() -> None:
        while not over.wait(_COPY_SECONDS):
            try:
                copy.catch_up()
            except BrokerAway as error:
                _LOG.debug("%s", error)
            except SquashproxyError as error:
                _LOG.debug("%s", error)
                stop()
                return

    thread = Thread(target=work, name="squashproxy-journal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        copy.catch_up()
