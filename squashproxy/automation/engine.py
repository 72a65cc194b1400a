"""Opening the engine that a configuration names: its fleet of workers, if it has one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from squashproxy.automation.fleet import fleet_settings, is_fleet
from squashproxy.automation.options import RunOptions
from squashproxy.config.configuration import Configuration

if TYPE_CHECKING:  # needs the extra `fleet`
    from squashproxy.fleet.fleet import Fleet

_START_SECONDS = 10.0
"""How long a broker is waited for that has not answered yet: its name may be wrong."""


@contextmanager
def open_engine(
    configuration: Configuration, options: RunOptions, warn: Callable[[str], None]
) -> Iterator[Fleet | None]:
    """Open the fleet of a configuration, and take part in it; None where it names none.

    `warn` gets sentences about the broker. Raises FleetMissing where packages are missing,
    ForeignFleet where the queue belongs to another configuration, BrokerAway and BrokerRefused.
    """
    if not is_fleet(configuration):
        yield None
        return
    settings = fleet_settings(configuration, options.client.ca)
    from squashproxy.automation.workers.patiently import patiently  # noqa: PLC0415 - as below
    from squashproxy.fleet.open import open_fleet  # noqa: PLC0415 - loads packages of the extra
    from squashproxy.fleet.patience import Patience  # noqa: PLC0415 - as above

    patience = Patience(_START_SECONDS, warn, time.monotonic, time.sleep)
    with open_fleet(settings, is_member=False) as fleet:
        for sentence in patiently(patience, fleet.check):
            warn(sentence)
        patiently(patience, fleet.join)
        yield fleet
