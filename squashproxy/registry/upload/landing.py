"""Work that begins something, and that an interrupt must not end in its middle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

LANDING_SECONDS = 5.0
"""How long an interrupt, or the failure of an upload, waits for an answer."""


def land(work: Callable[[], T]) -> T:
    """Do the work in a thread of its own, and wait for its end, also after an interrupt.

    In the main thread, Ctrl-C could come behind any step of it, and lose what it began. So the work
    itself notes that where it will be looked for. Raises what the work raises.
    """
    is_known = False
    may_begin = threading.Event()

    def begin() -> T | None:
        may_begin.wait()
        return work() if is_known else None

    with ThreadPoolExecutor(1, "landing") as thread:
        try:
            flight = thread.submit(begin)
            is_known = True
            may_begin.set()
            answer = flight.result()
        finally:
            may_begin.set()  # an interrupt may come while the thread starts: then nothing is done
    assert answer is not None, "it was done"
    return answer
