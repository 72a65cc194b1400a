"""Waiting for the result of a job, whatever happens to the broker and the workers meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any, TypeVar

from squashproxy.cancellation import Cancellation
from squashproxy.fleet.errors import JobFailed, JobParked
from squashproxy.fleet.job import JobRequest, JobState
from squashproxy.fleet.patience import Patience
from squashproxy.fleet.progress import ProgressReplay
from squashproxy.fleet.records import Look
from squashproxy.progress import Observer

_T = TypeVar("_T")
_LOOK = 3.0
"""Seconds after which a record is looked at without news of it; twice as long each time."""
_LONGEST_LOOK = 24.0
_TURN = 0.5
"""Seconds after which whoever waits looks whether the work was cancelled: hundreds may wait."""


class Waiting:
    """One caller who waits for a job.

    `submit` submits it or joins it, and `look` reads its record; both may raise BrokerAway, which
    is waited out for `seconds`.
    """

    def __init__(
        self,
        request: JobRequest,
        submit: Callable[[], None],
        look: Callable[[], Look],
        *,
        observer: Observer,
        cancellation: Cancellation,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = request
        self._submit = submit
        self._look = look
        self._cancellation = cancellation
        self._clock = clock
        self._replay = ProgressReplay(observer)
        self._patience = Patience(seconds, observer.warn, clock, self._rest)
        self._pause = _LOOK

    def result(self, changed: Event) -> Mapping[str, Any]:
        """Wait for the result; `changed` is set when there is news. Raises as Fleet.run does."""
        try:
            self._ask(self._submit)
            while True:
                changed.clear()
                found = self._ask(self._look)
                self._replay.show(found.attempt, found.progress, found.warnings)
                if found.state is None:
                    self._ask(self._submit)
                elif found.state is JobState.DONE:
                    return found.result or {}
                elif found.state is JobState.FAILED:
                    raise _failed(found)
                elif found.state is JobState.PARKED:
                    raise parked(self._request, found)
                else:
                    self._wait(changed)
        finally:
            self._replay.close()

    def _ask(self, question: Callable[[], _T]) -> _T:
        def asked() -> _T:
            self._cancellation.check()
            return question()

        return self._patience.ask(asked)

    def _wait(self, changed: Event) -> None:
        until = self._clock() + self._pause
        while not changed.wait(_TURN):
            self._cancellation.check()
            if self._clock() >= until:
                self._pause = min(2 * self._pause, _LONGEST_LOOK)
                return

    def _rest(self, seconds: float) -> None:
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._cancellation.check()
            time.sleep(min(left, _TURN))


def parked(request: JobRequest, found: Look) -> JobParked:
    """The error for a job that is parked."""
    error = found.error or {}
    return JobParked(
        f"{request.title} is parked: {error.get('fact', 'its workers ended')}",
        advice=f"see the workers' logs, then retry it with `jobs --retry {request.id}`",
        job=request.id,
    )


def _failed(found: Look) -> JobFailed:
    error = found.error or {}
    return JobFailed(
        error.get("fact", "it failed"),
        advice=error.get("advice", ""),
        kind=error.get("kind", ""),
        is_temporary=bool(error.get("temporary")),
    )
