"""Opening appliers of plans: here or on workers, with an audit log and a line for each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from squashproxy.automation.context import Context
from squashproxy.cleanup.apply.apply import Applier, RepositoryApplier
from squashproxy.cleanup.apply.audit_log import AuditLog, log_name
from squashproxy.cleanup.apply.squash_in_place import InPlaceSquasher
from squashproxy.cleanup.results import Step
from squashproxy.config.cleanup import CleanupRule
from squashproxy.report.cleanup import step_line


@dataclass(frozen=True, slots=True)
class OpenApplier:
    """An applier, and its audit log."""

    applier: RepositoryApplier
    log: AuditLog


@contextmanager
def open_applier(context: Context, count: int) -> Iterator[OpenApplier]:
    """Open what applies plans of `count` deletions in this process."""
    with _open_log(context, count) as (log, tell):
        yield OpenApplier(_local(context, log, tell), log)


@contextmanager
def open_cleanup_applier(
    context: Context, count: int, rules: Sequence[CleanupRule], check: Callable[[], None]
) -> Iterator[OpenApplier]:
    """Open what applies plans of these rules: workers, where there is a fleet.

    `check` raises where another process may run the rules by now.
    """
    if context.fleet is None:
        with open_applier(context, count) as opened:
            yield opened
        return
    from squashproxy.automation.workers.cleanup import FleetApplier  # noqa: PLC0415 - extra `fleet`
    from squashproxy.automation.workers.jobs import FleetJobs  # noqa: PLC0415 - as above

    with _open_log(context, count) as (log, tell):
        applier = FleetApplier(
            jobs=FleetJobs(context.fleet, context.cancellation),
            here=_local(context, log, tell),
            rules={rule.name: rule for rule in rules},
            tags=context.tags,
            log=log,
            now=time.time,
            observer=context.observer,
            on_step=tell,
            check=check,
        )
        yield OpenApplier(applier, log)


def _local(context: Context, log: AuditLog, tell: Callable[[str, Step], None]) -> Applier:
    squasher = InPlaceSquasher(
        context.client,
        context.open_source,
        context.quick_source,
        context.observer,
        context.cancellation,
    )
    return Applier(
        client=context.client,
        graph_loader=context.graph_loader,
        tags=context.tags,
        squasher=squasher,
        log=log,
        now=time.time,
        cancellation=context.cancellation,
        on_step=tell,
    )


@contextmanager
def _open_log(
    context: Context, count: int
) -> Iterator[tuple[AuditLog, Callable[[str, Step], None]]]:
    task = context.observer.tally("deletions", count)

    def tell(repository: str, step: Step) -> None:
        task.advance(1)
        context.observer.note(step_line(repository, step))

    with AuditLog(context.audit_folder, log_name(time.time())) as log:
        yield log, tell
    task.finish()
