"""Opening the engine that a configuration names: its fleet of workers, if it has one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from squashproxy.automation.fleet import fleet_settings, is_fleet
from squashproxy.automation.options import RunOptions
from squashproxy.config.configuration import Configuration
from squashproxy.errors import SquashproxyError
from squashproxy.fleet.errors import BrokerAway
from squashproxy.fleet.job import QueueName

if TYPE_CHECKING:  # needs the extra `fleet`
    from squashproxy.fleet.fleet import Fleet

_LOG = logging.getLogger("squashproxy.automation")
_RETRY_SECONDS = 5.0
_DAY = 86400.0
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
    from squashproxy.fleet.open import open_fleet  # noqa: PLC0415 - loads packages of the extra
    from squashproxy.fleet.patience import Patience  # noqa: PLC0415 - as above

    patience = Patience(_START_SECONDS, warn, time.monotonic, time.sleep)
    with open_fleet(settings, is_member=False) as fleet:
        for sentence in patience.ask(fleet.check):
            warn(sentence)
        patience.ask(fleet.join)
        if not patience.ask(fleet.snapshot).has_workers(QueueName.BULK, settings.version):
            warn(
                f"no worker takes bulk jobs of version {settings.version} from the broker "
                f"{fleet.address}, so they wait until `squashproxy worker` runs somewhere"
            )
        yield fleet


@contextmanager
def open_lasting_engine(
    configuration: Configuration, options: RunOptions, warn: Callable[[str], None]
) -> Iterator[Fleet | None]:
    """Open the fleet of a configuration for a process that stays: see `open_engine`.

    A broker that is away is waited for in the background, and jobs wait for it for a day. Raises
    FleetMissing; ForeignFleet and BrokerRefused only where the broker answers now.
    """
    if not is_fleet(configuration):
        yield None
        return
    settings = replace(fleet_settings(configuration, options.client.ca), patience=_DAY)
    from squashproxy.fleet.open import open_fleet  # noqa: PLC0415 - loads packages of the extra

    with open_fleet(settings, is_member=False) as fleet:
        joining = _Joining(fleet, warn)
        joining.begin()
        try:
            yield fleet
        finally:
            joining.end()


class _Joining:
    """Joins a fleet, now or as soon as its broker answers."""

    def __init__(self, fleet: Fleet, warn: Callable[[str], None]) -> None:
        self._fleet = fleet
        self._warn = warn
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Join, or begin to wait for the broker."""
        try:
            self._join()
        except BrokerAway as error:
            self._warn(f"{error.fact}; it is waited for")
            self._thread = threading.Thread(target=self._wait, name="fleet-joining", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Wait no longer."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _join(self) -> None:
        for sentence in self._fleet.check():
            self._warn(sentence)
        self._fleet.join()

    def _wait(self) -> None:
        while not self._ended.wait(_RETRY_SECONDS):
            try:
                self._join()
            except BrokerAway as error:
                _LOG.debug("%s", error)
            except SquashproxyError as error:
                self._warn(str(error))
                return
            else:
                self._warn(f"the broker {self._fleet.address} is back")
                return
