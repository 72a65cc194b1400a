"""What cleanup and mirrored deletions are applied with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from squashproxy.cleanup.applying import Applier
from squashproxy.cleanup.audit import AuditLog, log_name
from squashproxy.cleanup.results import Step
from squashproxy.cleanup.squashing import InPlaceSquasher
from squashproxy.cli.brake import BrakedObserver
from squashproxy.cli.rules import Workshop
from squashproxy.report.cleaning import step_line


@contextmanager
def open_applier(shop: Workshop, count: int) -> Iterator[Applier]:
    """What applies plans of so many deletions, with an audit log and a line for each step."""
    observer = BrakedObserver(shop.observer, shop.brake)
    squasher = InPlaceSquasher(shop.client, shop.open_source, shop.peek_source, observer)
    task = shop.observer.tally("deletions", count)

    def tell(repository: str, step: Step) -> None:
        task.advance(1)
        shop.observer.note(step_line(repository, step))

    with AuditLog(shop.audit_folder, log_name(time.time())) as log:
        yield Applier(
            client=shop.client,
            gatherer=shop.gatherer,
            tags=shop.tags,
            squasher=squasher,
            log=log,
            now=time.time,
            is_stopped=lambda: shop.brake.is_stopped,
            on_step=tell,
        )
    task.finish()
