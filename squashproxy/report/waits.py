"""Waits for registries that want to be left alone, told to whoever is looking."""

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
    """Tells of each wait of more than a few seconds, in a line with -v and on a terminal.

    While one wait for a host is told, others for the same host are not. Usable from several
    threads; `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def __call__(self, seconds: float, host: str, reason: str) -> None:
        """Hear of a wait, as WaitListener says."""
        if seconds < _WORTH_TELLING:
            return
        with self._lock:
            now = self._clock()
            if now < self._until.get(host, now):
                return
            self._until[host] = now + seconds
        level = logging.WARNING if sys.stderr.isatty() else logging.INFO
        _LOGGER.log(level, "%s is asked again in %s: %s", host, span_text(seconds), reason)
