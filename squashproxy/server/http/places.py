"""Places for connections: how many may be open, and which give way.

1. At most `most` connections are open, and a few more in reserve.
2. A connection waits until its first request, and between requests. One that waits for its first
   request longer than a client needs is closed (in the reserve after _RESERVED_SECONDS).
3. A new one above the limit takes the place of the one that has waited longest, if that was
   _PATIENCE seconds or more.
4. So does one whose client takes nearly nothing of its answer; see slow_readers. While all places
   are taken, that is looked at every _LOOK_SECONDS.
5. Else it goes into the reserve, where only the health is told; see `is_reserved`. In a full
   reserve it takes the place of the one that has waited longest there; if all of these are being
   answered, it is closed.

So connections on which nothing is said, or nothing is read, keep nobody out, and probes are
answered at any time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

from squashproxy.server.http.slow_readers import SlowReaders

_RESERVE = 16
_PATIENCE = 5.0
_FIRST_REQUEST_SECONDS = 30.0
_RESERVED_SECONDS = 5.0
_LOOK_SECONDS = 5.0


class Connection(Protocol):
    """A connection that can be cut."""

    @property
    def wire(self) -> asyncio.BaseTransport:
        """Its transport."""
        ...

    def cut(self) -> None:
        """Close the connection at once."""
        ...


class Places:
    """The places of one listener, for the event loop only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Connection] = set()
        self._reserved: set[Connection] = set()
        self._waiting: OrderedDict[Connection, float] = OrderedDict()
        self._deadlines: dict[Connection, asyncio.TimerHandle] = {}
        self._slow = SlowReaders()
        self._look: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def connections(self) -> list[Connection]:
        """All open connections."""
        return list(self._open)

    def is_reserved(self, connection: Connection) -> bool:
        """Whether a connection is above the limit."""
        return connection in self._reserved

    def enter(self, connection: Connection) -> None:
        """Give a new connection a place; it, or another one, may be cut."""
        loop = asyncio.get_running_loop()
        self._open.add(connection)
        if len(self._open) - len(self._reserved) > self._most and not self._cut_patient(
            loop.time()
        ):
            self._reserve(connection)
        if connection in self._reserved and self._look is None:
            self._look_for_slow()
        if connection not in self._open:
            return
        self._waiting[connection] = loop.time()
        seconds = _RESERVED_SECONDS if connection in self._reserved else _FIRST_REQUEST_SECONDS
        self._deadlines[connection] = loop.call_later(seconds, self._cut, connection)

    def begin(self, connection: Connection) -> None:
        """Note that a request of the connection is being answered."""
        self._waiting.pop(connection, None)
        self._slow.forget(connection)
        self._forget_deadline(connection)

    def end(self, connection: Connection) -> None:
        """Note that it was answered."""
        if connection in self._open:
            self._waiting[connection] = asyncio.get_running_loop().time()

    def leave(self, connection: Connection) -> None:
        """Free the place of a connection that is closed."""
        self._open.discard(connection)
        self._reserved.discard(connection)
        self._waiting.pop(connection, None)
        self._slow.forget(connection)
        self._forget_deadline(connection)

    def close(self) -> None:
        """Look at nothing any more."""
        if self._look is not None:
            self._look.cancel()

    def _look_for_slow(self) -> None:
        """Cut those whose clients do not read, again and again while no place is free."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open - self._reserved - self._waiting.keys()):
            if self._slow.is_slow(connection, connection.wire, now):
                self._cut(connection)
        is_full = len(self._open) - len(self._reserved) >= self._most
        self._look = loop.call_later(_LOOK_SECONDS, self._look_for_slow) if is_full else None

    def _reserve(self, connection: Connection) -> None:
        if len(self._reserved) >= _RESERVE:
            oldest = next((each for each in self._waiting if each in self._reserved), None)
            self._cut(oldest or connection)
        if connection in self._open:
            self._reserved.add(connection)

    def _cut_patient(self, now: float) -> bool:
        """Cut the connection that has waited longest, if that is long enough."""
        for connection, since in self._waiting.items():
            if connection not in self._reserved:
                if now - since < _PATIENCE:
                    return False
                self._cut(connection)
                return True
        return False

    def _cut(self, connection: Connection) -> None:
        self.leave(connection)
        connection.cut()

    def _forget_deadline(self, connection: Connection) -> None:
        deadline = self._deadlines.pop(connection, None)
        if deadline is not None:
            deadline.cancel()
