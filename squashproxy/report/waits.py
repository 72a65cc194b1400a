"""Log lines about waits for registries that ask for fewer requests (Retry-After)."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

from squashproxy.registry.http.retry_after import span_text

_LOGGER = logging.getLogger(__name__)
_WORTH_TELLING = 3.0


class WaitTeller:
    """Logs each wait of more than a few seconds: a warning on a terminal, else an info line.

    While one wait for a host is running, further waits for that host are not logged. Usable from
    several threads; `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def __call__(self, seconds: float, host: str, reason: str) -> None:
        """Log a wait of `seconds`, if it is worth a line."""
        if seconds < _WORTH_TELLING:
            return
        with self._lock:
            now = self._clock()
            if now < self._until.get(host, now):
                return
            self._until[host] = now + seconds
        level = logging.WARNING if sys.stderr.isatty() else logging.INFO
        _LOGGER.log(level, "%s is asked again in %s: %s", host, span_text(seconds), reason)
