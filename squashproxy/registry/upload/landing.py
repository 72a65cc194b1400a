"""Calls whose answer is needed even if an interrupt comes while they are made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

T = TypeVar("T")

LANDING_SECONDS = 5.0
"""How long an interrupt, or the failure of an upload, waits for an answer."""


class Landing(Generic[T]):
    """A call that is made in a thread of its own.

    In the main thread, Ctrl-C could interrupt it and lose its answer. `on_lost` gets an answer that
    nobody waits for any more.
    """

    def __init__(self, ask: Callable[[], T], on_lost: Callable[[T], None]) -> None:
        self._ask = ask
        self._on_lost = on_lost
        self._is_wanted = False
        self._may_begin = threading.Event()

    def run(self) -> T:
        """Make the call, once. Raises what it raises."""
        flight: Future[T | None] | None = None
        is_known = False
        with ThreadPoolExecutor(1, "landing") as thread:
            try:
                flight = thread.submit(self._begin)
                self._is_wanted = True
                self._may_begin.set()
                answer = flight.result()
                assert answer is not None, "it was wanted"
                is_known = True
            finally:
                # An interrupt may come before `flight` is known: then nothing is sent.
                self._may_begin.set()
                if flight is not None and not is_known:
                    self._lose(flight)
        return answer

    def _begin(self) -> T | None:
        self._may_begin.wait()
        return self._ask() if self._is_wanted else None

    def _lose(self, flight: Future[T | None]) -> None:
        if flight.cancel():
            return
        wait([flight], LANDING_SECONDS)
        if flight.done() and flight.exception() is None:
            answer = flight.result()
            if answer is not None:
                self._on_lost(answer)
