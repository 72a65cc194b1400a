"""How long work tells what it is doing; someone above shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import Protocol, TypeAlias, TypeVar

from squashproxy.cancellation import Cancellation
from squashproxy.streams import closed_after

T = TypeVar("T", bound=Sized)


class Task(Protocol):
    """One running piece of work, measured in bytes, or in things that are counted."""

    def advance(self, count: int) -> None:
        """Another `count` are done. Called from any thread."""
        ...

    def finish(self, outcome: str = "") -> None:
        """The work is over; `outcome` is a word or two such as `mounted`."""
        ...


class Observer(Protocol):
    """Watches a copy, a plan or a comparison."""

    def start(self, label: str, total: int | None) -> Task:
        """A piece of work begins; `total` in bytes, None where unknown. Called from any thread."""
        ...

    def warn(self, sentence: str) -> None:
        """Something that the user should know."""
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
    """`stream`, shown to `observer`; closed and told to be over, however it ends.

    Raises Cancelled between two chunks.
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
"""Begins to count: what, and how many there are."""


class SilentTask:
    """A task that nobody watches."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def finish(self, outcome: str = "") -> None:
        """Do nothing."""


def silent_tally(label: str, total: int) -> Task:  # noqa: ARG001 - a Tally
    """Count for nobody."""
    return SilentTask()


class SilentObserver:
    """An observer that shows nothing."""

    def start(self, label: str, total: int | None) -> Task:  # noqa: ARG002 - the protocol's names
        """Return a task that nobody watches."""
        return SilentTask()

    def warn(self, sentence: str) -> None:
        """Do nothing; warnings also stand in the result."""


class RecordingObserver:
    """Passes everything on to another observer and keeps the warnings, each once."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, in their order."""
        return tuple(self._warnings)

    def start(self, label: str, total: int | None) -> Task:
        """A piece of work begins."""
        return self._observer.start(label, total)

    def warn(self, sentence: str) -> None:
        """Something that the user should know."""
        if sentence not in self._warnings:
            self._warnings[sentence] = None
            self._observer.warn(sentence)
