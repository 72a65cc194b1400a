"""The jobs of a configuration's fleet: looking at them, and retrying them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from squashproxy.automation.fleet import fleet_settings
from squashproxy.config.configuration import Configuration
from squashproxy.fleet.open import open_fleet
from squashproxy.fleet.snapshot import Snapshot


def look_at_jobs(
    configuration: Configuration, ca: Path | None, retried: Sequence[str] = ()
) -> Snapshot:
    """The state of the fleet, after the jobs of `retried` were queued again.

    Raises UsageError where the engine is not celery or its packages are missing, FleetError where
    there is no such job, BrokerAway and BrokerRefused.
    """
    with open_fleet(fleet_settings(configuration, ca), is_member=False) as fleet:
        fleet.check()
        for job in retried:
            fleet.retry(job)
        return fleet.snapshot()
