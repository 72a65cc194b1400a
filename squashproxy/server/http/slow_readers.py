"""Clients that ask and do not read: found by what their connections have taken.

A client that reads nothing, or a byte now and then, holds its place for as long as it likes. What
the other side has acknowledged tells, whoever sends: this process, TLS, or the system from a file.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from asyncio import BaseTransport
from dataclasses import dataclass

_SECONDS = 30.0
"""How long a client may take less than the least before it counts as slow."""

_LEAST_SPEED = 1024
"""Bytes a second."""

_ACKNOWLEDGED = struct.Struct("=120xQ")
"""Where `tcpi_bytes_acked` stands in Linux' struct tcp_info (linux/tcp.h)."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a client had taken at a time."""

    when: float
    taken: int


class SlowReaders:
    """Measures the connections that are being answered; times are those of the event loop."""

    def __init__(self) -> None:
        self._marks: dict[object, _Mark] = {}

    def is_slow(self, connection: object, wire: BaseTransport, now: float) -> bool:
        """Whether the client takes nearly nothing of what waits for it.

        It is measured between calls for the same connection: the first one only notes.
        """
        taken = _taken(wire)
        if taken is None:
            return False
        mark = self._marks.get(connection)
        if mark is None:
            self._marks[connection] = _Mark(now, taken)
            return False
        seconds = now - mark.when
        if seconds < _SECONDS:
            return False
        if taken - mark.taken < _LEAST_SPEED * seconds:
            return True
        self._marks[connection] = _Mark(now, taken)
        return False

    def forget(self, connection: object) -> None:
        """Measure a connection anew, as it is no longer the same answer."""
        self._marks.pop(connection, None)


def _taken(wire: BaseTransport) -> int | None:
    """The bytes that a client has acknowledged; None if nothing waits for it, or none can tell."""
    found = wire.get_extra_info("socket")
    if found is None or not hasattr(socket, "TCP_INFO"):
        return None
    try:
        waiting = fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        if not any(waiting):
            return None
        info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size)
    except OSError:  # it was closed meanwhile
        return None
    return int(_ACKNOWLEDGED.unpack(info)[0]) if len(info) == _ACKNOWLEDGED.size else None
