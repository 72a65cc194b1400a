"""The work of a worker beside its jobs: from time to time, for the whole fleet and for itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.consumer import Hearing
from squashproxy.fleet.errors import BrokerAway, FleetError
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.members import beat_of
from squashproxy.fleet.messages import Messenger
from squashproxy.fleet.queue_names import queue_list
from squashproxy.fleet.records import Records
from squashproxy.fleet.settings import FleetSettings

_LOG = logging.getLogger("squashproxy.fleet")


class Upkeep:
    """Queues jobs whose workers are gone, in turn with the other workers, and sees that this one
    hears its queues.
    """

    def __init__(
        self, settings: FleetSettings, broker: Broker, name: str, queues: Sequence[QueueName]
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._records = Records(broker)
        self._messenger = Messenger(settings)
        self._name = name
        self._lists = [queue_list(settings, queue) for queue in queues]
        self.hearing: Hearing | None = None

    def turn(self) -> None:
        """Do both; the first if nobody else did so lately."""
        pause = min(self._settings.lease / 2, beat_of(self._settings) * 2)
        try:
            for message in self._records.reap(self._name, pause):
                self._messenger.send(message)
            if self.hearing is not None:
                counts = self._broker.ask_all([("LLEN", name) for name in self._lists])
                self.hearing.check(sum(map(int, counts)))
        except BrokerAway as error:
            _LOG.debug("%s", error)
        except FleetError as error:
            _LOG.warning("%s", error)

    def close(self) -> None:
        """Close the connections."""
        self._messenger.close()
