"""Waiting for a broker that is away, and saying so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from squashproxy.fleet.errors import BrokerAway

_Answer = TypeVar("_Answer")
_FIRST = 0.25
_LONGEST = 5.0


class Patience:
    """Waits after each failure, longer each time, for at most `seconds` in a row.

    `tell` gets a sentence when the waiting begins.
    """

    def __init__(
        self,
        seconds: float,
        tell: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._seconds = seconds
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._pause = _FIRST

    def ask(self, call: Callable[[], _Answer]) -> _Answer:
        """The answer to a call, which is made again while the broker is away.

        Raises BrokerAway after that lasted too long, and everything else that the call raises.
        """
        while True:
            try:
                answer = call()
            except BrokerAway as error:
                self._wait(error)
            else:
                self._over()
                return answer

    def _wait(self, error: BrokerAway) -> None:
        """Wait before the next attempt, or raise `error` if that would be too long."""
        now = self._clock()
        if self._since is None:
            self._since = now
            if self._seconds:
                self._tell(f"{error.fact}; waiting for it for up to {self._seconds:g} s")
        left = self._since + self._seconds - now
        if left <= 0:
            raise error
        self._sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, _LONGEST)

    def _over(self) -> None:
        self._since = None
        self._pause = _FIRST
