"""Opening a fleet. Nothing of Celery or Redis is imported before that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from squashproxy.fleet.missing import check_installed
from squashproxy.fleet.settings import FleetSettings

if TYPE_CHECKING:
    from squashproxy.fleet.fleet import Fleet


@contextmanager
def open_fleet(settings: FleetSettings, *, is_member: bool = True) -> Iterator[Fleet]:
    """Open a fleet; a member is one that submits jobs, others only look.

    Raises FleetMissing where packages are missing, UsageError where the broker's URL has options
    that mean nothing, and for members ForeignFleet, BrokerAway and BrokerRefused.
    """
    check_installed()
    from squashproxy.fleet.fleet import Fleet  # noqa: PLC0415 - needs the extra `fleet`

    fleet = Fleet(settings)
    try:
        if is_member:
            fleet.check()
            fleet.join()
        yield fleet
    finally:
        fleet.close()
