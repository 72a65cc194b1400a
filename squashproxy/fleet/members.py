"""The processes of a fleet: workers, and those that submit jobs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import FleetError, ForeignFleet
from squashproxy.fleet.settings import FleetSettings

_LOG = logging.getLogger("squashproxy.fleet")
_BEAT = 5.0
_BEATS = 4


def beat_of(settings: FleetSettings) -> float:
    """Seconds between two signs of life; shorter where leases are."""
    return min(_BEAT, settings.lease / 4)


class Member:
    """A process of the fleet, this one, which says from time to time that it is alive.

    `facts` are what others are told, such as a worker's queues. `on_beat` is called each time, from
    a thread.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        facts: Mapping[str, Any],
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._broker = broker
        self.name = name
        self._facts = json.dumps(facts)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_beat = on_beat
        self._pause = beat_of(broker.settings)

    def say(self) -> None:
        """Say once that this process is alive. Raises ForeignFleet, BrokerAway, BrokerRefused."""
        settings = self._broker.settings
        marks = json.dumps(sorted(settings.marks))
        strange = self._broker.run(
            "join", self.name, marks, round(self._pause * _BEATS * 1000), self._facts
        )
        if strange:
            other = bytes(strange).decode("utf-8", "replace")
            raise ForeignFleet(
                f"the queue {settings.prefix} on the broker {self._broker.address} belongs to "
                f"another configuration, which {other} runs",
                advice="give one of them another name as `engine.queue`",
            )

    def start(self) -> None:
        """Join the fleet, and go on saying so from a thread. Raises as `say`."""
        self.say()
        self._thread = threading.Thread(target=self._beat, name="fleet-member", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Leave the fleet."""
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join(_BEAT)
        try:
            self._broker.run("part", self.name)
        except FleetError as error:
            _LOG.debug("%s", error)

    def _beat(self) -> None:
        while not self._ended.wait(self._pause):
            try:
                self.say()
            except FleetError as error:
                _LOG.debug("%s", error)
            self._on_beat()
