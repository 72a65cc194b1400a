"""Work that begins something, and that an interrupt must not end in its middle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

LANDING_SECONDS = 5.0
"""How long an interrupt, or the failure of an upload, waits for an answer."""


def land(work: Callable[[], T]) -> T:
    """Do the work in a thread of its own, and wait for its end, also after an interrupt.

    In the main thread, Ctrl-C could come behind any step of it, and lose what it began. So the work
    itself notes that where it will be looked for. Raises what the work raises.
    """
    with ThreadPoolExecutor(1, "landing") as thread:
        answer = launch(thread, work, lambda _: None).result()
    assert answer is not None, "it was done"
    return answer


def launch(
    thread: ThreadPoolExecutor, work: Callable[[], T], note: Callable[[Future[T | None]], None]
) -> Future[T | None]:
    """Begin the work in a thread, once it was noted where it can be waited for.

    An interrupt may come while the thread starts. Then nothing is done, and the result is None.
    """
    is_known = False
    may_begin = threading.Event()

    def begin() -> T | None:
        may_begin.wait()
        return work() if is_known else None

    try:
        flight = thread.submit(begin)
        note(flight)
        is_known = True
    finally:
        may_begin.set()
    return flight
