"""The end of a worker, after a signal."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

from celery.platforms import EX_OK
from celery.worker import state

from squashproxy.fleet.drain import Drain, Stage
from squashproxy.fleet.settings import FleetSettings

_LOG = logging.getLogger("squashproxy.fleet")
_MERCY = 15.0
"""Seconds that jobs have to end after they were cancelled, before their processes are killed."""


class Ending:
    """Ends a worker after SIGTERM: jobs may finish for a while, then they are handed back."""

    def __init__(self, settings: FleetSettings, drain: Drain) -> None:
        self._seconds = settings.drain
        self._drain = drain
        self._over = threading.Event()
        self._hurry = threading.Event()
        self.worker: Any = None

    def begin(self, *_: object) -> None:
        """Let no new job begin; the second time, hand back at once. This is a signal handler."""
        state.should_stop = EX_OK
        if self._drain.stage is not Stage.RUNS:
            self._hurry.set()
            return
        self._drain.enter(Stage.STOPS)
        threading.Thread(target=self._watch, name="fleet-ending", daemon=True).start()

    def over(self) -> None:
        """The worker has ended."""
        self._over.set()
        self._hurry.set()

    def _watch(self) -> None:
        _LOG.info("ends; running jobs may go on for %g s", self._seconds)
        self._hurry.wait(self._seconds)
        if self._over.is_set():
            return
        _LOG.info("hands back the jobs that still run")
        self._drain.enter(Stage.HANDS_BACK)
        if self._over.wait(_MERCY):
            return
        _LOG.warning("killing processes whose jobs did not end")
        for process in self.worker.pool._pool._pool:  # noqa: SLF001 - Celery has no other way
            os.kill(process.pid, signal.SIGKILL)
        if not self._over.wait(_MERCY):
            os._exit(1)
