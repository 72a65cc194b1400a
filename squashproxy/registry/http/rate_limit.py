"""Rate limits that the user set, in requests per second and registry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol


class Pacer(Protocol):
    """Spaces requests to registries; usable from several threads."""

    def wait(self, host: str) -> None:
        """Wait until the next request to `host` may be sent."""
        ...


PacerMaker = Callable[[Mapping[str, float], Callable[[float], None]], Pacer]
"""Makes a pacer for requests per second by host, and a function that sleeps for seconds."""


class RateLimit:
    """Spaces requests evenly; usable from several threads.

    `rates` holds requests per second, by host as references write it. `sleep` and `clock` are in
    seconds.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._gaps = {host: 1.0 / rate for host, rate in rates.items()}
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def wait(self, host: str) -> None:
        """Wait until the next request to `host` may be sent."""
        gap = self._gaps.get(host)
        if gap is None:
            return
        with self._lock:
            now = self._clock()
            slot = max(now, self._next.get(host, now))
            self._next[host] = slot + gap
        if slot > now:
            self._sleep(slot - now)
