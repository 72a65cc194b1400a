"""Retries after temporary errors, for calls that may be repeated.

1. A call is repeated at least `retries` times, whatever the error's patience, unless it failed for
   a minute before: 0.25 s, 0.5 s, 1 s and 2 s after it failed.
2. It is repeated for as long as the error's patience says: `retry_for` seconds for an outage, at
   most a minute of them for a server that is up and fails, no longer than (1) for a host that never
   answered.
3. The time counts from the first failure. Progress (bytes that arrived) starts it anew.
4. Waits double up to 10 s, so that the end of an outage is soon noticed. A registry that says how
   long to wait (Retry-After) is obeyed, up to `longest_wait`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from squashproxy.errors import (
    Patience,
    RegistryError,
    SquashproxyError,
    TemporaryRegistryError,
)

_T = TypeVar("_T")
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 10.0
_MINUTE = 60.0

RETRY_FOR = 300.0
"""Seconds without progress after which a call is given up."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait before a call is repeated; times in seconds.

    `reason` is the fact of the error that caused it, without its advice. `waited` is how long the
    call has failed so far, `left` how much longer it is repeated; None if only by count.
    """

    seconds: float
    host: str
    reason: str
    waited: float = 0.0
    left: float | None = None


WaitListener = Callable[[Wait], None]
"""Called before each wait; in any thread."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy, by the rules above; `clock` and `retry_for` are in seconds.

    `retry_for_host` has other times for some hosts. If the registry asks for more than
    `longest_wait` seconds, its error is raised at once. `listener` is called before every wait.
    `sleep` may raise, to end the waiting.
    """

    retries: int
    sleep: Callable[[float], None]
    longest_wait: float = math.inf
    listener: WaitListener | None = None
    retry_for: float = 0.0
    clock: Callable[[], float] = time.monotonic
    retry_for_host: Mapping[str, float] = field(default_factory=dict)

    def call(self, attempt: Callable[[], _T], host: str = "") -> _T:
        """The result of `attempt`, which is repeated while its errors are temporary.

        `host` is for the listener. Raises the last error.
        """
        attempts = self.begin(host)
        while True:
            try:
                return attempt()
            except SquashproxyError as error:
                attempts.wait(error)

    def begin(self, host: str = "") -> Attempts:
        """The attempts of a call that counts its progress itself."""
        return Attempts(self, host)

    def seconds_for(self, error: SquashproxyError, host: str) -> float:
        """How long a call to `host` is repeated after such an error."""
        if not isinstance(error, TemporaryRegistryError):
            return 0.0
        seconds = self.retry_for_host.get(host, self.retry_for)
        if error.patience is Patience.OUTAGE:
            return seconds
        return min(seconds, _MINUTE) if error.patience is Patience.MINUTE else 0.0


class Attempts:
    """The attempts of one call to `host`: failures in a row, and since when they last."""

    def __init__(self, retry: Retry, host: str) -> None:
        self._retry = retry
        self._host = host
        self._failures = 0
        self._since = 0.0
        self._waited = 0.0

    def progress(self) -> None:
        """Something arrived: failures before it count no more."""
        self._failures = 0
        self._waited = 0.0

    def wait(self, error: SquashproxyError) -> None:
        """Wait before the next attempt, or raise `error` if there must be none."""
        retry = self._retry
        if not error.temporary:
            raise error
        now = retry.clock()
        if not self._failures:
            self._since = now
        self._failures += 1
        spent = max(self._waited, now - self._since)
        left = retry.seconds_for(error, self._host) - spent
        is_counted = self._failures <= retry.retries and spent < _MINUTE
        if not is_counted and left <= 0:
            raise error
        wait = self._next_wait(error, math.inf if is_counted else left)
        if retry.listener is not None:
            patience = left if left > wait else None
            retry.listener(Wait(wait, self._host, error.fact, spent, patience))
        self._waited += wait
        retry.sleep(wait)

    def _next_wait(self, error: SquashproxyError, left: float) -> float:
        """Seconds until the next attempt; the last one is made when the time is over."""
        asked = error.retry_after if isinstance(error, RegistryError) else None
        if asked is not None:
            if asked > self._retry.longest_wait:
                raise error
            return asked
        doubled: float = _FIRST_WAIT * 2 ** min(self._failures - 1, 16)
        return min(doubled, _LONGEST_WAIT, left)
