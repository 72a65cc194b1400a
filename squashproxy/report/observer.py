"""Observers that write the log and pass everything on to a display."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from squashproxy.progress import Observer, SilentObserver, Task, silent_tally
from squashproxy.report.sizes import size_text

_LOGGER = logging.getLogger(__name__)


class Display(Observer, Protocol):
    """Shows running work to people."""

    def tally(self, label: str, total: int) -> Task:
        """Begin to count items, `total` of them."""
        ...


class SilentDisplay(SilentObserver):
    """A display that shows nothing."""

    def tally(self, label: str, total: int) -> Task:
        """Return a task that is not shown."""
        return silent_tally(label, total)


class LoggingObserver:
    """Logs the tasks of a copy or plan as they end, and each warning once."""

    def __init__(self, display: Display | None = None) -> None:
        self._display = display or SilentDisplay()
        self._warned: set[str] = set()

    def start(self, label: str, total: int | None) -> Task:
        """Begin a piece of work; `total` is in bytes, None if unknown."""
        _LOGGER.debug("%s: begins (%s)", label, size_text(total))
        return _LoggedTask(label, self._display.start(label, total))

    def tally(self, label: str, total: int) -> Task:
        """Begin to count items on the display. The caller logs a line for each with `note`."""
        return self._display.tally(label, total)

    def warn(self, sentence: str) -> None:
        """Log a warning once; results repeat the warnings of their run."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            _LOGGER.warning("%s", sentence)

    def note(self, line: str) -> None:
        """Log that one of many items is done."""
        _LOGGER.info("%s", line)


class LabelledObserver:
    """Adds an image's name to what it passes on to another observer."""

    def __init__(self, observer: Observer, image: str) -> None:
        self._observer = observer
        self._image = image

    def start(self, label: str, total: int | None) -> Task:
        """Begin a piece of work."""
        return self._observer.start(f"{self._image.rpartition('/')[2]} {label}", total)

    def warn(self, sentence: str) -> None:
        """Pass on a warning about this image."""
        self._observer.warn(f"{self._image}: {sentence}")


@dataclass(slots=True)
class _LoggedTask:
    """Counts bytes for the log line; with several threads the count may be slightly behind."""

    label: str
    shown: Task
    done: int = field(default=0)

    def advance(self, count: int) -> None:
        self.done += count
        self.shown.advance(count)

    def finish(self, outcome: str = "") -> None:
        _LOGGER.info("%s: %s, %s", self.label, outcome or "done", size_text(self.done))
        self.shown.finish(outcome)
