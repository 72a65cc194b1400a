"""Lists in the broker that outlive the process that writes them."""

from __future__ import annotations

from typing import Any

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.records import pack, unpack

_KEEP_SECONDS = 7 * 24 * 3600


class Journal:
    """A list of JSON entries with a name; it goes a week after its last entry.

    All methods raise BrokerAway and BrokerRefused.
    """

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._key = broker.key("journal", name)

    def append(self, entry: Any, *, most: int | None = None) -> None:
        """Write an entry; it is in the broker when this returns. Only the last `most` are kept."""
        self._broker.ask("RPUSH", self._key, pack(entry))
        if most is not None:
            self._broker.ask("LTRIM", self._key, -most, -1)
        self._broker.ask("EXPIRE", self._key, _KEEP_SECONDS)

    def read(self, start: int = 0) -> list[Any]:
        """The entries from the one with index `start` on, oldest first; -3 means the last three."""
        return [unpack(data) for data in self._broker.ask("LRANGE", self._key, start, -1)]

    def forget(self) -> None:
        """Remove all entries."""
        self._broker.ask("DEL", self._key)
