"""Repositories planned and cleaned up by workers.

What runs remember of a repository, and the audit log, stay with the process that asks. An apply
job writes each deletion down before it happens, in a journal of the broker and in a log of the
worker's own; what the journal holds is taken over into the audit log here while the job runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from uuid import uuid4

from squashproxy.automation.workers.audit_journal import JournalCopy
from squashproxy.automation.workers.jobs import FleetJobs
from squashproxy.automation.workers.rules import errand
from squashproxy.cancellation import Cancelled
from squashproxy.cleanup.apply.apply import untouched
from squashproxy.cleanup.apply.audit_log import AuditTrail
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
from squashproxy.fleet.errors import BrokerAway
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

    `now` gives unix seconds; `on_step` is called with each step and its repository. `check` raises
    where another process may apply plans of the same rule by now.
    """

    jobs: FleetJobs
    rules: Mapping[str, CleanupRule]
    tags: TagMemory
    log: AuditTrail
    now: Callable[[], float]
    observer: Observer
    on_step: Callable[[str, Step], None]
    check: Callable[[], None]

    def apply(
        self,
        rule: str,
        plan: RepositoryPlan,
        options: CopyOptions,  # noqa: ARG002 - the worker works them out from its own rule
        *,
        is_exact: bool = False,
    ) -> RepositoryResult:
        """Apply the plan of one repository; its errors are part of the result."""
        if plan.problem is not None or not plan.deletions:
            return untouched(rule, plan)
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
            result = copy.broken(str(error))
        else:
            keep_known(self.tags, repository, applied.known)
            result = copy.completed(applied.result)
        for step in result.steps:
            self.on_step(plan.repository, step)
        return result


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
