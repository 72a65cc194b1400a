"""Estimates of what squashing would save (`dry_run`): each reads all layers of an image.

One reading serves all who ask for the same at once. It is given up when nobody waits for it any
more, and few run or wait at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from squashproxy.cancellation import Cancellation
from squashproxy.errors import TooManyRequests
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import PlanResult
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.jobs.squasher import Squasher
from squashproxy.server.store.base import SquashKey

_MOST = 8
_RETRY_SECONDS = 30.0

Key = tuple[Caller, SquashKey]


@dataclass(eq=False, slots=True)
class _Reading:
    result: asyncio.Future[PlanResult]
    cancellation: Cancellation
    waiters: int = field(default=0)


class Estimates:
    """The readings that run or wait; for the event loop."""

    def __init__(self, squasher: Squasher) -> None:
        self._squasher = squasher
        self._threads = Threads(1, "squashproxy-estimate")
        self._readings: dict[Key, _Reading] = {}

    async def estimate(self, caller: Caller, key: SquashKey, options: CopyOptions) -> PlanResult:
        """What squashing would save. Raises TooManyRequests, and what reading the image raises."""
        reading = self._readings.get((caller, key)) or self._begin(caller, key, options)
        reading.waiters += 1
        try:
            return await asyncio.shield(reading.result)
        finally:
            reading.waiters -= 1
            if not reading.waiters:
                self._give_up((caller, key), reading)

    async def close(self, seconds: float) -> None:
        """Cancel all and wait at most `seconds` for the thread."""
        for reading in self._readings.values():
            reading.cancellation.cancel()
        await self._threads.close(seconds)

    def _begin(self, caller: Caller, key: SquashKey, options: CopyOptions) -> _Reading:
        if len(self._readings) >= _MOST:
            raise TooManyRequests(
                f"{len(self._readings)} estimates run or wait already",
                advice="try again later",
                retry_after=_RETRY_SECONDS,
            )
        cancellation = Cancellation()
        result = self._threads.begin(self._squasher.estimate, caller, key, options, cancellation)
        reading = self._readings[caller, key] = _Reading(result, cancellation)
        result.add_done_callback(lambda done: self._end((caller, key), reading, done))
        return reading

    def _give_up(self, key: Key, reading: _Reading) -> None:
        """Cancel a reading, and let the next who asks begin a new one."""
        if not reading.result.done():
            reading.cancellation.cancel()
            reading.result.cancel()
        if self._readings.get(key) is reading:
            del self._readings[key]

    def _end(self, key: Key, reading: _Reading, done: asyncio.Future[PlanResult]) -> None:
        if self._readings.get(key) is reading:
            del self._readings[key]
        if not done.cancelled():
            done.exception()  # everybody may have left
