"""Progress bars on a terminal's standard error."""

from __future__ import annotations

from collections import deque
from threading import Lock
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.progress import Task as Shown
from rich.text import Text

from squashproxy.printable import printable
from squashproxy.progress import Task

_REDRAW_BYTES = 1 << 20
"""A task updates the display at most once per this many bytes, so drawing does not slow a copy."""
_FINISHED_SHOWN = 6
_LABEL_WIDTH = 36


class ProgressObserver:
    """Shows one bar per running task; the last few finished ones stay visible.

    Use it as a context manager. The bars vanish at its end, to make room for the report.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            _DoneColumn(),
            TextColumn("{task.fields[outcome]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._finished: deque[TaskID] = deque()
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def start(self, label: str, total: int | None) -> Task:
        """Show another bar; `total` in bytes, None for a bar without an end."""
        label = printable(label)
        short = label if len(label) <= _LABEL_WIDTH else label[: _LABEL_WIDTH - 3] + "..."
        task = self._progress.add_task(short, total=total, outcome="", counts=False)
        return _Bar(self, self._progress, task, _REDRAW_BYTES)

    def tally(self, label: str, total: int) -> Task:
        """Show another bar, which counts items."""
        task = self._progress.add_task(printable(label), total=total, outcome="", counts=True)
        return _Bar(self, self._progress, task, 1)

    def warn(self, sentence: str) -> None:
        """Do nothing: warnings are log lines."""

    def retire(self, task: TaskID) -> None:
        """Keep a finished bar visible until enough others have finished."""
        with self._lock:
            self._finished.append(task)
            old = self._finished.popleft() if len(self._finished) > _FINISHED_SHOWN else None
        if old is not None:
            self._progress.remove_task(old)


class _DoneColumn(ProgressColumn):
    """The amount done and the total, in bytes or in items."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()

    def render(self, task: Shown) -> Text:
        """The figures of a task."""
        if not task.fields["counts"]:
            return self._bytes.render(task)
        return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f}", style="progress.download")


class _Bar:
    def __init__(
        self, owner: ProgressObserver, progress: Progress, task: TaskID, step: int
    ) -> None:
        self._step = step
        self._owner = owner
        self._progress = progress
        self._task = task
        self._lock = Lock()
        self._pending = 0

    def advance(self, count: int) -> None:
        """Add to what is done; the display is updated in steps."""
        with self._lock:
            self._pending += count
            if self._pending < self._step:
                return
            due, self._pending = self._pending, 0
        self._progress.advance(self._task, due)

    def finish(self, outcome: str = "") -> None:
        """Fill the bar and name the outcome."""
        with self._lock:
            due, self._pending = self._pending, 0
        self._progress.advance(self._task, due)
        done = next(task.completed for task in self._progress.tasks if task.id == self._task)
        shown = printable(outcome or "done")
        self._progress.update(self._task, total=done, completed=done, outcome=shown)
        self._owner.retire(self._task)
