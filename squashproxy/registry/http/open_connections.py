"""The open connections of a client, so that they can be ended while threads wait for them.

A process that was told to end must not wait for servers that stall. So after `stop`:

1. Nothing new is sent but the cancelling of upload sessions.
2. Requests that only read are cut at once.
3. Requests that write have LANDING_SECONDS to be answered: the answer to a PATCH holds the address
   that cancels its session.
4. Requests that delete, as those that cancel do, have their own time-out.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from squashproxy.cancellation import Cancelled

LANDING_SECONDS = 2.0
CANCEL_SECONDS = 3.0
"""The time-out of each step (connect, write, read) of a request that cancels after `stop`."""

_SWEEPS_SECONDS = 0.1
_SWEEPING_SECONDS = 30.0
_SLICE = 0.1
_WRITES = frozenset({"POST", "PATCH", "PUT"})
_SPARED = frozenset({"DELETE", ""})


class Line(Protocol):
    """A connection with the method of its last request, empty before it; `sock` is None while it is
    closed.
    """

    sock: socket.socket | None
    sent_method: str


class OpenConnections:
    """Remembers connections as long as they live; usable from several threads."""

    def __init__(self) -> None:
        self._lines: WeakSet[Line] = WeakSet()
        self._lock = threading.Lock()
        self.is_stopped = False

    def add(self, line: Line) -> None:
        """Remember a connection."""
        with self._lock:
            self._lines.add(line)

    def check(self) -> None:
        """Raise Cancelled after `stop`."""
        if self.is_stopped:
            raise Cancelled("nothing more is sent, since the process ends")

    def sleep(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Sleep in short steps. Raises Cancelled as soon as `stop` was called."""
        if sleep is not time.sleep:
            self.check()
            sleep(seconds)
            return
        end = time.monotonic() + seconds
        while True:
            self.check()
            left = end - time.monotonic()
            if left <= 0:
                return
            sleep(min(left, _SLICE))

    def stop(self) -> None:
        """Let nothing new begin, and end what runs, by the rules above. Returns at once."""
        with self._lock:
            if self.is_stopped:
                return
            self.is_stopped = True
        threading.Thread(target=self._sweep, name="end connections", daemon=True).start()

    def _sweep(self) -> None:
        """Cut again and again: a connection may have been opened in this very moment."""
        begin = time.monotonic()
        while (spent := time.monotonic() - begin) < _SWEEPING_SECONDS:
            lands = spent < LANDING_SECONDS
            with self._lock:
                lines = list(self._lines)
            for line in lines:
                method = line.sent_method
                if method not in _SPARED and not (lands and method in _WRITES):
                    _cut(line.sock)
            time.sleep(_SWEEPS_SECONDS)


def _cut(connection: socket.socket | None) -> None:
    """End a connection under the thread that uses it, which gets an error or an early end."""
    if connection is None:
        return
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already, or not connected yet
