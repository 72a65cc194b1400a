"""The journal of a fake registry: every request and its outcome, in order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its outcome.

    `path` includes the query; names of headers are in lower case. `received` and `sent` are the
    sizes of the two bodies in bytes; `sent` is what the answer announces. `status` is None if the
    connection broke before an answer.
    """

    method: str
    path: str
    status: int | None
    headers: Mapping[str, str]
    received: int
    sent: int


class Journal:
    """The exchanges so far. Each is recorded before its answer is sent."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []
        self._lock = threading.Lock()

    def write(self, exchange: Exchange) -> None:
        """Add an exchange."""
        with self._lock:
            self._exchanges.append(exchange)

    def read(self) -> tuple[Exchange, ...]:
        """All exchanges, oldest first."""
        with self._lock:
            return tuple(self._exchanges)

    def clear(self) -> None:
        """Forget the exchanges so far."""
        with self._lock:
            self._exchanges.clear()
