"""What cleanup and mirrored deletions are applied with."""

from __future__ import annotations

from collections.abc import Callable

from squashproxy.cleanup.results import Step
from squashproxy.cleanup.squashing import InPlaceSquasher
from squashproxy.cli.brake import BrakedObserver
from squashproxy.cli.rules import Workshop
from squashproxy.report.cleaning import step_line
from squashproxy.report.observer import LoggingObserver


def in_place_squasher(shop: Workshop) -> InPlaceSquasher:
    """What squashes images where they are."""
    observer = BrakedObserver(shop.observer, shop.brake)
    return InPlaceSquasher(shop.client, shop.open_source, shop.peek_source, observer)


def tell_step(observer: LoggingObserver) -> Callable[[str, Step], None]:
    """Who hears of each step writes a line in the log."""
    return lambda repository, step: observer.note(step_line(repository, step))
