"""The Applier that cleanup and mirrored deletions share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from squashproxy.automation.context import Context
from squashproxy.cleanup.apply.apply import Applier
from squashproxy.cleanup.apply.audit_log import AuditLog, log_name
from squashproxy.cleanup.apply.squash_in_place import InPlaceSquasher
from squashproxy.cleanup.results import Step
from squashproxy.report.cleanup import step_line


@contextmanager
def open_applier(context: Context, count: int) -> Iterator[Applier]:
    """Open an Applier for plans of `count` deletions, with an audit log and a log line for each
    step.
    """
    squasher = InPlaceSquasher(
        context.client,
        context.open_source,
        context.quick_source,
        context.observer,
        context.cancellation,
    )
    task = context.observer.tally("deletions", count)

    def tell(repository: str, step: Step) -> None:
        task.advance(1)
        context.observer.note(step_line(repository, step))

    with AuditLog(context.audit_folder, log_name(time.time())) as log:
        yield Applier(
            client=context.client,
            graph_loader=context.graph_loader,
            tags=context.tags,
            squasher=squasher,
            log=log,
            now=time.time,
            cancellation=context.cancellation,
            on_step=tell,
        )
    task.finish()
