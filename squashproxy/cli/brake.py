"""How a process that ends stops what runs: nothing new first, then what goes on for too long."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.errors import SquashproxyError
from squashproxy.progress import Observer, Task


class Cancelled(SquashproxyError):
    """The process ends, so that an image was given up; its upload sessions are cancelled."""


@dataclass(slots=True)
class Brake:
    """Set by whoever ends the process, read from any thread."""

    is_stopped: bool = False
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Let nothing new begin, and what runs end soon."""
        self.is_stopped = True
        self.is_cancelled = True

    def check(self) -> None:
        """Raise Cancelled where nobody waits for the rest of what runs."""
        if self.is_cancelled:
            raise Cancelled("it was cancelled, since the process ends; the next run does it")


class BrakedObserver:
    """Passes on to another observer, and ends the work it watches once that is cancelled."""

    def __init__(self, observer: Observer, brake: Brake) -> None:
        self._observer = observer
        self._brake = brake

    def start(self, label: str, total: int | None) -> Task:
        """A piece of work begins."""
        return _BrakedTask(self._observer.start(label, total), self._brake)

    def warn(self, sentence: str) -> None:
        """Something that the user should know."""
        self._observer.warn(sentence)


class _BrakedTask:
    def __init__(self, task: Task, brake: Brake) -> None:
        self._task = task
        self._brake = brake

    def advance(self, count: int) -> None:
        """More is done. Raises Cancelled where nobody waits for the rest."""
        self._brake.check()
        self._task.advance(count)

    def finish(self, outcome: str = "") -> None:
        """The work is over."""
        self._task.finish(outcome)
