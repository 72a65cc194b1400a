"""When the rules of a fleet ran last, for whichever process leads next."""

from __future__ import annotations

from squashproxy.fleet.broker import Broker


class Starts:
    """The start of each rule's last run, in unix seconds by the clock of who began it.

    All methods raise BrokerAway and BrokerRefused.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._key = broker.key("starts")

    def note(self, section: str, rule: str, at: float) -> None:
        """Record that a rule begins now."""
        self._broker.ask("HSET", self._key, f"{section} {rule}", f"{at:.3f}")

    def last(self, section: str, rule: str) -> float | None:
        """When a rule began last; None where nobody knows."""
        found = self._broker.ask("HGET", self._key, f"{section} {rule}")
        try:
            return None if found is None else float(found)
        except ValueError:
            return None
