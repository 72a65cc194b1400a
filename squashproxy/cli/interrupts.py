"""SIGINT and SIGTERM: one of them ends a command within seconds, whatever its registries do.

Python raises KeyboardInterrupt in the main thread, which then waits for the others; those may wait
for a server that stalls. So a thread that does nothing else is woken as well, and ends their
connections. It cannot be done in the signal handler itself: that runs between two instructions of
the main thread, which may hold the very locks that are needed.

Those two instructions may be those of a weak reference's callback or a finalizer, where Python
drops every exception after it has printed it. An interrupt that is lost so is raised again.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CAME = bytes(1)
"""Told the other thread when a signal came; the signal's number, when the interrupt was lost."""
_AGAIN_SECONDS = 0.01
_MOST_SECONDS = 15.0
"""Seconds after which the process ends without waiting for anything any longer."""


class Interrupts:
    """What is to end when a signal comes; `ending` may be used whether or not signals are heard."""

    def __init__(self) -> None:
        self._stops: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def listen(self) -> None:
        """Hear the signals of this process from now on; one that is ignored stays ignored."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)

        last = signal.SIGINT.value

        def interrupted(number: int, frame: FrameType | None) -> None:
            nonlocal last
            last = number
            if _is_inside(frame, dropped.__code__):
                os.write(writer, bytes([number]))  # what the hook raises is dropped, too
                return
            os.write(writer, _CAME)
            signal.default_int_handler(number, frame)

        tell_dropped = sys.unraisablehook

        def dropped(unraisable: sys.UnraisableHookArgs) -> None:
            if unraisable.exc_type is KeyboardInterrupt:
                os.write(writer, bytes([last]))
            else:
                tell_dropped(unraisable)

        sys.unraisablehook = dropped
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, interrupted)
        waiting = threading.Thread(target=self._await, args=(reader,), name="interrupts")
        waiting.daemon = True
        waiting.start()

    @contextmanager
    def ending(self, *stops: Callable[[], None]) -> Iterator[None]:
        """Call `stops` from another thread if a signal comes inside the block; they must not wait
        for the main thread.
        """
        with self._lock:
            self._stops += stops
        try:
            yield
        finally:
            with self._lock:
                self._stops = [each for each in self._stops if each not in stops]

    def _await(self, reader: int) -> None:
        [lost] = os.read(reader, 1)
        with self._lock:
            stops = list(self._stops)
        for stop in stops:
            stop()
        _raise_lost(lost, reader, time.monotonic() + _MOST_SECONDS)
        os._exit(EXIT_CODE)


def _is_inside(frame: FrameType | None, code: CodeType) -> bool:
    """Whether a function is among the callers of a frame, itself included."""
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def _raise_lost(lost: int, reader: int, end: float) -> None:
    """Send the main thread the signal `lost` again, unless it is 0, and each that is lost later.

    Returns at the time `end` of the monotonic clock.
    """
    main = threading.main_thread().ident
    while True:
        if lost and main is not None:
            time.sleep(_AGAIN_SECONDS)  # for the main thread to get out of where it is
            signal.pthread_kill(main, lost)
        if not select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
            return
        [lost] = os.read(reader, 1)
