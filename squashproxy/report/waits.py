"""Log lines about waits for registries: outages, and requests to ask less often (Retry-After)."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

from squashproxy.registry.http.retry import Wait
from squashproxy.registry.http.retry_after import span_text

_LOGGER = logging.getLogger(__name__)
_WORTH_TELLING = 3.0
_MINUTE = 60.0


class WaitTeller:
    """Logs each wait of more than a few seconds: a warning on a terminal, else an info line.

    While one wait for a host is running, further waits for that host are not logged. During a long
    outage, a terminal shows one warning a minute. Usable from several threads; `clock` is in
    seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._warned: dict[str, float] = {}

    def __call__(self, wait: Wait) -> None:
        """Log a wait, if it is worth a line."""
        if wait.seconds < _WORTH_TELLING:
            return
        with self._lock:
            now = self._clock()
            if now < self._until.get(wait.host, now):
                return
            self._until[wait.host] = now + wait.seconds
            warns = sys.stderr.isatty() and now >= self._warned.get(wait.host, now)
            if warns:
                self._warned[wait.host] = now + _MINUTE
        level = logging.WARNING if warns else logging.INFO
        text = f"{wait.host} is asked again in {span_text(wait.seconds)}: {wait.reason}"
        _LOGGER.log(level, "%s%s", text, _for_how_long(wait))


def _for_how_long(wait: Wait) -> str:
    if wait.left is None:
        return ""
    total = span_text(wait.waited + wait.left)
    if wait.waited < 1:
        return f" (given up after {total} of this)"
    return f" (for {span_text(wait.waited)} now, given up after {total})"
