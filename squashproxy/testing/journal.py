"""What was asked of a fake registry, in order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what became of it.

    `path` holds the query too; header names are lower case. `received` and `sent` count the bytes
    of the bodies, `sent` as the answer announces them. `status` is None where the connection broke
    before an answer.
    """

    method: str
    path: str
    status: int | None
    headers: Mapping[str, str]
    received: int
    sent: int


class Journal:
    """The exchanges so far; one is written before its answer is sent."""

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
