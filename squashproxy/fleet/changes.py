"""News about jobs: one thread listens for all jobs that a process waits for."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import FleetError
from squashproxy.fleet.listening import Listening

_TURN = 1.0
_PAUSE = 2.0


class Changes:
    """Wakes those who wait for a job when its record changes.

    News may be lost, as when the connection breaks, so nobody relies on it: who waits also looks at
    the record now and then.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.channel = broker.key("events", "ends", secrets.token_hex(8))
        """The channel of this process, which hears of progress and ends, but not of beginnings."""
        self._lock = threading.Lock()
        self._events: dict[str, threading.Event] = {}
        self._waiting: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    @contextmanager
    def of(self, job: str) -> Iterator[threading.Event]:
        """An event that is set when the job's record changed; whoever waits clears it first."""
        with self._lock:
            event = self._events.setdefault(job, threading.Event())
            self._waiting[job] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="fleet-changes")
                self._thread.daemon = True
                self._thread.start()
        try:
            yield event
        finally:
            with self._lock:
                self._waiting[job] -= 1
                if not self._waiting[job]:
                    del self._waiting[job], self._events[job]

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            with suppress(FleetError):
                self._broker.ask("PUBLISH", self.channel, "")  # wakes the thread
            thread.join(_TURN + _PAUSE)

    def _listen(self) -> None:
        Listening(
            *(self._broker, self.channel, self._ended, self._wake_all, self._wake),
            turn=_TURN,
            pause=_PAUSE,
        ).run()

    def _wake(self, job: str) -> None:
        with self._lock:
            event = self._events.get(job)
        if event is not None:
            event.set()

    def _wake_all(self) -> None:
        """News may have been lost before this moment."""
        with self._lock:
            for event in self._events.values():
                event.set()
