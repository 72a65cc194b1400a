"""The jobs of one run of a rule: asked of the workers, and waited for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any
from uuid import uuid4

from squashproxy.automation.workers.rules import RuleDiffers
from squashproxy.cancellation import Cancellation
from squashproxy.errors import SquashproxyError, remembered
from squashproxy.fleet.errors import BrokerAway, BrokerRefused, JobFailed
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobRequest
from squashproxy.fleet.journal import Journal
from squashproxy.progress import Observer

_RULE_SECONDS = 60.0
"""How long workers may have another version of a rule: they may be about to be started again."""
_RULE_PAUSE = 2.0
_TICK = 0.2


class FleetJobs:
    """Runs jobs for one run of a rule; usable from several threads.

    Once `cancellation` is cancelled, jobs that nobody else waits for end, too. If the broker was
    away for too long, all further jobs fail at once.
    """

    def __init__(self, fleet: Fleet, cancellation: Cancellation) -> None:
        self._fleet = fleet
        self._cancellation = cancellation
        self._broken: SquashproxyError | None = None
        self._untold = Lock()
        self.run_id = uuid4().hex
        """What one job of the run finds out may serve the next."""

    def run(self, request: JobRequest, observer: Observer) -> Mapping[str, Any]:
        """Wait for the result of a job; see Fleet.run for the errors."""
        until = time.monotonic() + _RULE_SECONDS
        while True:
            if self._broken is not None:
                raise remembered(self._broken)
            try:
                return self._fleet.run(request, observer, self._cancellation)
            except (BrokerAway, BrokerRefused) as error:
                self._broken = remembered(error)
                raise
            except JobFailed as error:
                if error.kind != RuleDiffers.__name__ or time.monotonic() >= until:
                    raise
                if self._untold.acquire(blocking=False):  # the first of the run's threads tells
                    observer.warn(f"{error.fact}; waiting for others for up to {_RULE_SECONDS:g} s")
            self._pause()

    def journal(self, name: str) -> Journal:
        """The journal of that name."""
        return self._fleet.journal(name)

    def cancel(self) -> None:
        """End the run."""
        self._cancellation.cancel()

    def _pause(self) -> None:
        until = time.monotonic() + _RULE_PAUSE
        while time.monotonic() < until:
            self._cancellation.check()
            time.sleep(_TICK)
