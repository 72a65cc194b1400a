"""Listening to a channel of the broker, on a new connection whenever the last one broke."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

from redis.exceptions import RedisError

from squashproxy.fleet.broker import Broker


@dataclass(frozen=True, slots=True)
class Listening:
    """Hears the names of jobs on a channel, until `ended` is set.

    `on_job` gets each name. `on_connected` is called with each new connection, since news may have
    been lost before. `turn` is how soon `ended` is noticed, and `pause` how long it is waited after
    a connection broke, in seconds.
    """

    broker: Broker
    channel: str
    ended: Event
    on_connected: Callable[[], None]
    on_job: Callable[[str], None]
    turn: float
    pause: float

    def run(self) -> None:
        """Listen, in this thread."""
        while not self.ended.is_set():
            subscription = self.broker.subscription()
            try:
                subscription.subscribe(self.channel)
                self.on_connected()
                while not self.ended.is_set():
                    message = subscription.get_message(timeout=self.turn)
                    if message is not None:
                        self.on_job(bytes(message["data"]).decode("ascii", "replace"))
            except (RedisError, OSError):
                self.ended.wait(self.pause)
            finally:
                with suppress(RedisError, OSError):
                    subscription.close()
