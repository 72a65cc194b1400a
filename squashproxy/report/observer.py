"""An observer that writes the log, keeps the warnings, and passes all on to a display."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from squashproxy.progress import Observer, SilentObserver, Task, untold
from squashproxy.report.sizes import size_text

_LOGGER = logging.getLogger(__name__)


class Display(Observer, Protocol):
    """What shows work to people while it goes on."""

    def tally(self, label: str, total: int) -> Task:
        """Begin to count things."""
        ...


class SilentDisplay(SilentObserver):
    """A display that shows nothing."""

    def tally(self, label: str, total: int) -> Task:
        """Count for nobody."""
        return untold(label, total)


class LoggingObserver:
    """Watches a copy or plan for the log: tasks as they end, warnings once each."""

    def __init__(self, display: Display | None = None) -> None:
        self._display = display or SilentDisplay()
        self._warned: set[str] = set()

    def start(self, label: str, total: int | None) -> Task:
        """A piece of work begins; `total` in bytes, None where unknown."""
        _LOGGER.debug("%s: begins (%s)", label, size_text(total))
        return _LoggedTask(label, self._display.start(label, total))

    def tally(self, label: str, total: int) -> Task:
        """Count things on the display; the log has a line for each of them."""
        return self._display.tally(label, total)

    def warn(self, sentence: str) -> None:
        """Log a warning, unless it was logged before: results repeat those of the run."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            _LOGGER.warning("%s", sentence)

    def note(self, line: str) -> None:
        """Log that something of many is done."""
        _LOGGER.info("%s", line)


class LabelledObserver:
    """Passes on to another observer what happens to one image of many, with its name."""

    def __init__(self, observer: Observer, image: str) -> None:
        self._observer = observer
        self._image = image

    def start(self, label: str, total: int | None) -> Task:
        """A piece of work begins."""
        return self._observer.start(f"{self._image.rpartition('/')[2]} {label}", total)

    def warn(self, sentence: str) -> None:
        """Something that the user should know of this image."""
        self._observer.warn(f"{self._image}: {sentence}")


@dataclass(slots=True)
class _LoggedTask:
    """Counts for the log line; a line may lag behind when several threads advance one task."""

    label: str
    shown: Task
    done: int = field(default=0)

    def advance(self, count: int) -> None:
        self.done += count
        self.shown.advance(count)

    def finish(self, outcome: str = "") -> None:
        _LOGGER.info("%s: %s, %s", self.label, outcome or "done", size_text(self.done))
        self.shown.finish(outcome)
