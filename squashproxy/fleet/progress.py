"""Progress on its way from a worker, through the record of a job, to whoever waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from squashproxy.progress import Observer, Task

_MOST_WARNINGS = 200
_MOST_ENDED = 32
_MOST_TEXT = 1000


class RecordedTask:
    """A task of which a worker remembers how far it is."""

    def __init__(
        self, progress: ProgressRecorder, number: int, label: str, total: int | None
    ) -> None:
        self._progress = progress
        self.number = number
        self.label = label[:_MOST_TEXT]
        self.total = total
        self.done = 0
        self.outcome: str | None = None

    def advance(self, count: int) -> None:
        """Count `count` more."""
        with self._progress.lock:
            self.done += count
            self._progress.is_changed = True

    def finish(self, outcome: str = "") -> None:
        """End the task."""
        self._progress.end(self, outcome[:_MOST_TEXT])


class ProgressRecorder:
    """An observer in a worker. `changes` gives what is new, for the record."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_changed = False
        self._count = 0
        self._live: dict[int, RecordedTask] = {}
        self._ended: deque[RecordedTask] = deque(maxlen=_MOST_ENDED)
        self._warnings: dict[str, None] = {}
        self._told_warnings = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, each once; at most some hundreds."""
        return tuple(self._warnings)

    def start(self, label: str, total: int | None) -> Task:
        """Begin a task."""
        with self.lock:
            self._count += 1
            task = RecordedTask(self, self._count, label, total)
            self._live[task.number] = task
            self.is_changed = True
        return task

    def warn(self, sentence: str) -> None:
        """Keep a warning."""
        with self.lock:
            if len(self._warnings) < _MOST_WARNINGS:
                self._warnings.setdefault(sentence[:_MOST_TEXT])
                self.is_changed = True

    def end(self, task: RecordedTask, outcome: str) -> None:
        """A task is over."""
        with self.lock:
            if self._live.pop(task.number, None) is not None:
                task.outcome = outcome
                self._ended.append(task)
                self.is_changed = True

    def changes(self) -> tuple[Sequence[Any] | None, Sequence[str] | None]:
        """Tasks and warnings for the record; None for each where nothing is new."""
        with self.lock:
            if not self.is_changed:
                return None, None
            self.is_changed = False
            tasks = [
                [each.number, each.label, each.total, each.done, each.outcome]
                for each in (*self._ended, *self._live.values())
            ]
            is_new = len(self._warnings) != self._told_warnings
            self._told_warnings = len(self._warnings)
            return tasks, tuple(self._warnings) if is_new else None

    def tell_again(self) -> None:
        """What `changes` gave did not arrive."""
        with self.lock:
            self.is_changed = True
            self._told_warnings = 0


class ProgressReplay:
    """Shows an observer what records say about a worker's progress, one after another."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._attempt = 0
        self._tasks: dict[int, tuple[Task, int]] = {}
        self._last = 0
        self._warnings: set[str] = set()

    def show(self, attempt: int, tasks: Sequence[Any], warnings: Sequence[str]) -> None:
        """Show one record; another attempt begins from the start."""
        for sentence in warnings:
            if sentence not in self._warnings:
                self._warnings.add(sentence)
                self._observer.warn(sentence)
        if attempt != self._attempt:
            self.close()
            self._attempt, self._last = attempt, 0
        for number, label, total, done, outcome in tasks:
            self._show(number, label, total, done, outcome)
        listed = {number for number, *_ in tasks}
        for number in [number for number in self._tasks if number not in listed]:
            self._tasks.pop(number)[0].finish()

    def close(self) -> None:
        """End all tasks that are shown."""
        for task, _ in self._tasks.values():
            task.finish()
        self._tasks.clear()

    def _show(
        self, number: int, label: str, total: int | None, done: int, outcome: str | None
    ) -> None:
        if number > self._last:
            self._last = number
            self._tasks[number] = (self._observer.start(label, total), 0)
        if number not in self._tasks:
            return
        task, shown = self._tasks[number]
        if done > shown:
            task.advance(done - shown)
            self._tasks[number] = (task, done)
        if outcome is not None:
            self._tasks.pop(number)[0].finish(outcome)
