"""Retries after temporary errors, for calls that may be repeated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from squashproxy.errors import RegistryError, SquashproxyError

_T = TypeVar("_T")
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 30.0

WaitListener = Callable[[float, str, str], None]
"""Called before each wait with its seconds, the host and the reason; in any thread.

The reason is the fact of the error that caused the wait, without its advice.
"""


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy: `retries` further attempts, with waits that are the same in each run.

    A wait is what the registry asks for (Retry-After), else 0.25 s, doubled up to 30 s. If the
    registry asks for more than `longest_wait` seconds, its error is raised at once. `listener` is
    called before every wait.
    """

    retries: int
    sleep: Callable[[float], None]
    longest_wait: float = math.inf
    listener: WaitListener | None = None

    def call(self, attempt: Callable[[], _T], host: str = "") -> _T:
        """The result of `attempt`, which is repeated while its errors are temporary.

        `host` is for the listener. Raises the last error.
        """
        failures = 0
        while True:
            try:
                return attempt()
            except SquashproxyError as error:
                failures += 1
                self.wait(error, failures, host)

    def wait(self, error: SquashproxyError, failures: int, host: str = "") -> None:
        """Wait before the next attempt, or raise `error` if there must be none.

        `failures` is the number of failures in a row, this one included.
        """
        if not error.temporary or failures > self.retries:
            raise error
        asked = error.retry_after if isinstance(error, RegistryError) else None
        doubled = min(_FIRST_WAIT * 2 ** (failures - 1), _LONGEST_WAIT)
        wait = doubled if asked is None else asked
        if wait > self.longest_wait:
            raise error
        if self.listener is not None:
            self.listener(wait, host, error.fact)
        self.sleep(wait)
