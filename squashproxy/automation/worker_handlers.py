"""The jobs that a worker does, opened once in each of its processes.

A job names a rule, and the worker takes it from its own configuration. What a job knows about time
and about earlier runs is what its body says: clocks and states of machines differ.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from squashproxy.automation.context import Context, open_context
from squashproxy.automation.options import RunOptions
from squashproxy.automation.workers.audit_journal import JournalTrail
from squashproxy.automation.workers.cleanup import keep_known, remembered
from squashproxy.automation.workers.rules import (
    Errand,
    cleanup_rule,
    promote_rule,
    read_errand,
)
from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.apply.apply import Applier
from squashproxy.cleanup.apply.audit_log import AuditLog, log_name
from squashproxy.cleanup.apply.distrust import Distrust
from squashproxy.cleanup.apply.squash_in_place import InPlaceSquasher
from squashproxy.cleanup.forms import ApplyForm, applied_form, planned_form, read_apply, read_query
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.repository_planner import LocalRepositoryPlanner
from squashproxy.cleanup.results import Step
from squashproxy.cleanup.rule_options import squash_options
from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.configuration import Configuration
from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Route
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.handlers import Handlers
from squashproxy.fleet.job import JobBody, JobKind
from squashproxy.fleet.patience import Patience
from squashproxy.lru import LruCache
from squashproxy.pipeline.bases.squashed_bases import SquashedBases
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Observer
from squashproxy.promotion.rule_options import options_of
from squashproxy.promotion.scan import scan_repository
from squashproxy.promotion.scan_form import read_query as read_query_of_scan
from squashproxy.promotion.scan_form import scanned_form
from squashproxy.promotion.step_form import done_form, read_step
from squashproxy.promotion.step_runner import LocalStepRunner
from squashproxy.promotion.survey import Survey
from squashproxy.reference import parse_repository
from squashproxy.report.observer import LoggingObserver
from squashproxy.server.jobs.fleet_handler import open_squash_handler
from squashproxy.state.database import open_state
from squashproxy.state.tags import TagMemory

_Value = TypeVar("_Value")
_MOST_RUNS = 8
_JOURNAL_SECONDS = 30.0
"""How long a broker that is away is waited for before a deletion is given up."""


@contextmanager
def open_handlers(
    configuration: Configuration, options: RunOptions, fleet: Fleet
) -> Iterator[Handlers]:
    """Open what the jobs of a worker process need.

    `fleet` is for the rates of registries and for journals. Raises UsageError where there is no
    place for the worker's state: a cache of manifests, and its audit logs.
    """
    with (
        open_context(
            configuration, options, LoggingObserver(), Cancellation(), fleet=fleet
        ) as context,
        open_squash_handler(configuration, options.client, os.environ, fleet) as squash,
    ):
        promotions = _Promotions(context)
        cleanups = _Cleanups(context, fleet)
        yield {
            JobKind.PROMOTE: promotions.promote,
            JobKind.SCAN: promotions.scan,
            JobKind.PLAN: cleanups.plan,
            JobKind.APPLY: cleanups.apply,
            **({} if squash is None else {JobKind.SQUASH: squash}),
        }


class _Recent:
    """What the latest runs found out, by run and rule; older ones are forgotten."""

    def __init__(self) -> None:
        self._found: LruCache[tuple[str, str], Any] = LruCache(_MOST_RUNS)

    def find(self, job: Errand, make: Callable[[], _Value]) -> _Value:
        """What was made for an earlier job of the same run and rule, or is made now."""
        key = (job.run, job.rule)
        found: _Value = self._found.find_or_make(key, make)
        return found


@dataclass(frozen=True, slots=True)
class _Promotions:
    context: Context
    options: _Recent = field(default_factory=_Recent)
    bases: _Recent = field(default_factory=_Recent)

    def promote(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, Any]:
        """Carry out one step."""
        job = read_errand(body)
        context = self.context
        rule = promote_rule(context.configuration, job)
        options = self.options.find(job, lambda: self._options(rule))
        step = read_step(job.task, rule, options)
        runner = LocalStepRunner(
            client=context.client,
            open_source=context.open_source,
            quick_source=context.quick_source,
            watch=lambda _: observer,
            cancellation=cancellation,
            squashed_bases=self._squashed_bases(job, rule, options),
        )
        return done_form(runner.run(step))

    def scan(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, Any]:
        """Scan one source repository."""
        job = read_errand(body)
        context = self.context
        rule = promote_rule(context.configuration, job)
        repository, query = read_query_of_scan(job.task, rule)
        cancellation.check()
        options = self.options.find(job, lambda: self._options(rule))
        survey = Survey(rule, context.client, context.manifests, lambda: query.now)
        task = observer.start(f"{repository.path}: scan", 1)
        scan = scan_repository(survey, repository, options, is_listed=query.is_listed)
        task.finish()
        return scanned_form(scan)

    def _options(self, rule: PromoteRule) -> CopyOptions:
        """Keys are read anew for each run."""
        return options_of(rule, self.context.options, os.environ, self.context.observer.warn)

    def _squashed_bases(
        self, job: Errand, rule: PromoteRule, options: CopyOptions
    ) -> SquashedBases:
        """What earlier jobs of the run found out about base repositories.

        Nothing, where the rule itself may promote to one: other workers push bases there.
        """
        template = Route(rule).template
        if any(map(template.may_lead_to, options.base_repos)):
            return SquashedBases()
        return self.bases.find(job, SquashedBases)


@dataclass(frozen=True, slots=True)
class _Cleanups:
    context: Context
    fleet: Fleet

    def plan(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, Any]:
        """Plan one repository."""
        job = read_errand(body)
        query, known = read_query(job.task, cleanup_rule(self.context.configuration, job))
        cancellation.check()
        with open_state(None) as database:
            tags = TagMemory(database)
            keep_known(tags, query.repository, known)
            plan = LocalRepositoryPlanner(self._graph_loader(tags, observer)).plan(query)
            return planned_form(plan, remembered(tags, query.repository))

    def apply(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, Any]:
        """Apply the plan of one repository, as far as the rule itself would do it now.

        What was left to whoever asked is in no step of the result.
        """
        job = read_errand(body)
        context = self.context
        rule = cleanup_rule(context.configuration, job)
        form = read_apply(job.task, rule)
        cancellation.check()
        plan = self._sure_part(form, rule, observer)
        repository = parse_repository(plan.repository)
        task = observer.start(f"{repository.path}: deletions", plan.deletions)

        def tell(_: str, step: Step) -> None:
            task.advance(max(1, len(step.tags)))

        def rest(seconds: float) -> None:
            cancellation.check()
            time.sleep(seconds)

        patience = Patience(_JOURNAL_SECONDS, observer.warn, time.monotonic, rest)
        with (
            open_state(None) as database,
            AuditLog(context.audit_folder, log_name(time.time())) as log,
        ):
            tags = TagMemory(database)
            keep_known(tags, repository, form.known)
            trail = JournalTrail(log, self.fleet.journal(form.journal), patience)
            applier = Applier(
                client=context.client,
                graph_loader=self._graph_loader(tags, observer),
                tags=tags,
                squasher=InPlaceSquasher(
                    context.client,
                    context.open_source,
                    context.quick_source,
                    observer,
                    cancellation,
                ),
                log=trail,
                now=lambda: form.now,
                cancellation=cancellation,
                on_step=tell,
            )
            result = applier.apply(
                rule.name,
                plan,
                squash_options(rule, context.options, os.environ, observer.warn),
                is_exact=form.is_exact,
            )
            task.finish()
            if trail.lost is not None:
                raise trail.lost
            cancellation.check()
            return applied_form(result, remembered(tags, repository))

    def _sure_part(self, form: ApplyForm, rule: CleanupRule, observer: Observer) -> RepositoryPlan:
        """What the rule would do now of a plan that anybody may have written into the broker."""
        repository = parse_repository(form.plan.repository)
        with open_state(None) as database:
            tags = TagMemory(database)
            now = time.time()
            tags.replace(repository, form.known.tags, dict.fromkeys(form.known.untagged, now))
            loader = self._graph_loader(tags, observer)
            distrust = Distrust(self.context.client, loader, time.time)
            return distrust.sure_part(form.plan, rule, form.now)

    def _graph_loader(self, tags: TagMemory, observer: Observer) -> GraphLoader:
        return GraphLoader(self.context.client, self.context.manifests, tags, observer.start)
