"""Trying again after temporary errors, for calls that can be made twice."""

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
"""Hears of a wait before it begins: seconds, the host that is waited for, and why; in any thread.

The reason is the fact of the error that led to it, without its advice.
"""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try again, and how to wait (seconds); waits do not vary between runs.

    Where the registry asks for more than `longest_wait` seconds, its error is raised at once.
    `listener` hears of every wait.
    """

    retries: int
    sleep: Callable[[float], None]
    longest_wait: float = math.inf
    listener: WaitListener | None = None

    def call(self, attempt: Callable[[], _T], host: str = "") -> _T:
        """The result of `attempt`, made again while its errors are temporary.

        `host` is who is asked, for the listener.
        """
        failures = 0
        while True:
            try:
                return attempt()
            except SquashproxyError as error:
                failures += 1
                self.wait(error, failures, host)

    def wait(self, error: SquashproxyError, failures: int, host: str = "") -> None:
        """Wait as the error asks, or twice as long as the last time; raise it where that is vain.

        `failures` counts from 1: the failures in a row, this one included.
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
