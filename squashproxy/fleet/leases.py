"""Leases that a process holds: for rules, and for leading."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import BrokerAway, FleetError, LeaseLost

_LOG = logging.getLogger("squashproxy.fleet")


class Lease:
    """A lease on one key; `holder` names this process for others.

    Its end is counted on this machine from the moment before it was asked for, so that it is never
    believed in for longer than the broker does.
    """

    def __init__(self, broker: Broker, key: str, holder: str, clock: Callable[[], float]) -> None:
        self._broker = broker
        self._key = key
        self._token = f"{holder} {secrets.token_hex(8)}"
        self._clock = clock
        self._seconds = broker.settings.lease
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        """Whether no other process can have it."""
        return self._clock() < self._until

    def take(self) -> str:
        """Take it or extend it: empty, or the name of the process that has it."""
        began = self._clock()
        answer = self._broker.run("hold", self._key, self._token, round(self._seconds * 1000))
        if answer:
            self._until = 0.0
            holder: str = bytes(answer).decode("utf-8", "replace").rpartition(" ")[0]
            return holder or "another process"
        self._until = began + self._seconds
        return ""

    def check(self) -> None:
        """Raise LeaseLost where another process may have it."""
        if not self.is_held:
            raise LeaseLost(
                f"the lease of {self._key} was lost, since the broker {self._broker.address} could "
                "not be reached in time",
                advice="try again",
            )

    def release(self) -> None:
        """Give it up; where the broker is away, it ends by itself."""
        self._until = 0.0
        try:
            self._broker.run("release", self._key, self._token)
        except FleetError as error:
            _LOG.debug("%s", error)


class LeaseKeeper:
    """Renews leases from one thread every `pause` seconds, until they are dropped."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._leases: list[Lease] = []
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def add(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._leases.append(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="fleet-leases")
                self._thread.daemon = True
                self._thread.start()

    def drop(self, lease: Lease) -> None:
        """Renew it no longer, and release it."""
        with self._lock:
            self._leases = [each for each in self._leases if each is not lease]
        lease.release()

    def close(self) -> None:
        """End the thread; all leases are released."""
        self._ended.set()
        with self._lock:
            leases, self._leases = self._leases, []
        for lease in leases:
            lease.release()

    def _keep(self) -> None:
        while not self._ended.wait(self._pause):
            with self._lock:
                leases = list(self._leases)
            for lease in leases:
                try:
                    lease.take()
                except BrokerAway as error:
                    _LOG.debug("%s", error)
                except FleetError as error:
                    _LOG.warning("%s", error)
