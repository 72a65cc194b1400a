"""How far a worker's end has come, told by the parent process to its children."""

from __future__ import annotations

import mmap
from enum import IntEnum


class Stage(IntEnum):
    """The stages, in their order."""

    RUNS = 0
    STOPS = 1
    """No new job begins; those that run may finish."""
    HANDS_BACK = 2
    """Jobs that still run are cancelled, and go back into their queues."""


class Drain:
    """A byte that the parent writes, and that children see who were forked later."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    @property
    def stage(self) -> Stage:
        """The present stage."""
        return Stage(self._shared[0])

    def enter(self, stage: Stage) -> None:
        """Enter a stage; none comes back."""
        self._shared[0] = max(self._shared[0], stage)
