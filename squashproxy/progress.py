"""Progress of long work, reported to an observer that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import Protocol, TypeAlias, TypeVar

from squashproxy.cancellation import Cancellation
from squashproxy.streams import closed_after

T = TypeVar("T", bound=Sized)


class Task(Protocol):
    """A running piece of work, measured in bytes or in items."""

    def advance(self, count: int) -> None:
        """Report that another `count` are done. May be called from any thread."""
        ...

    def finish(self, outcome: str = "") -> None:
        """Report that the work is over; `outcome` is a word or two such as `mounted`."""
        ...


class Observer(Protocol):
    """Watches a copy, a plan or a comparison."""

    def start(self, label: str, total: int | None) -> Task:
        """Begin a piece of work; `total` is in bytes, None if unknown. Callable from any thread."""
        ...

    def warn(self, sentence: str) -> None:
        """Tell the user something that they should know."""
        ...


def watched(
    stream: Iterator[T],
    observer: Observer,
    cancellation: Cancellation,
    label: str,
    total: int | None,
    *,
    outcome: str = "",
) -> Iterator[T]:
    """Yield from `stream` and report its progress to `observer`.

    However the iteration ends, the stream is closed and the task finished. Raises Cancelled between
    two chunks.
    """
    task = observer.start(label, total)
    try:
        with closed_after(stream) as chunks:
            for chunk in chunks:
                cancellation.check()
                task.advance(len(chunk))
                yield chunk
    finally:
        task.finish(outcome)


Tally: TypeAlias = Callable[[str, int], Task]
"""Begins to count items: takes what they are, and how many there are."""


class SilentTask:
    """A task that is not shown."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def finish(self, outcome: str = "") -> None:
        """Do nothing."""


def silent_tally(label: str, total: int) -> Task:  # noqa: ARG001 - a Tally
    """Count without showing it."""
    return SilentTask()


class SilentObserver:
    """An observer that shows nothing."""

    def start(self, label: str, total: int | None) -> Task:  # noqa: ARG002 - the protocol's names
        """Return a task that is not shown."""
        return SilentTask()

    def warn(self, sentence: str) -> None:
        """Do nothing; warnings are also in the result."""


class RecordingObserver:
    """Passes everything on to another observer, and keeps each warning once."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, in the order in which they came."""
        return tuple(self._warnings)

    def start(self, label: str, total: int | None) -> Task:
        """Begin a piece of work."""
        return self._observer.start(label, total)

    def warn(self, sentence: str) -> None:
        """Pass the warning on, unless it came before."""
        if sentence not in self._warnings:
            self._warnings[sentence] = None
            self._observer.warn(sentence)
