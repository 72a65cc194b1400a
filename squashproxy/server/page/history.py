"""What the page tells: images, savings, and recent errors."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.server.store.base import SquashRecord

_MOST_IMAGES = 1000
_MOST_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that an operator should know; `at` in unix seconds."""

    at: float
    image: str
    message: str


class History:
    """Of this process, and what the store remembers from before."""

    def __init__(self, records: Iterable[SquashRecord]) -> None:
        self._lock = threading.Lock()
        self._records = deque(sorted(records, key=lambda record: record.made_at), _MOST_IMAGES)
        self._problems: deque[Problem] = deque(maxlen=_MOST_ERRORS)
        self._pulls: Counter[Digest] = Counter()

    def add(self, record: SquashRecord) -> None:
        """An image was squashed."""
        with self._lock:
            self._records.append(record)

    def add_problem(self, problem: Problem) -> None:
        """Something went wrong, perhaps again; from any thread."""
        with self._lock:
            last = self._problems[-1] if self._problems else None
            if last is not None and (last.image, last.message) == (problem.image, problem.message):
                self._problems.pop()
            self._problems.append(problem)

    def count_pull(self, source: Digest) -> None:
        """The squashed image of a source was handed out."""
        self._pulls[source] += 1

    def pulls_of(self, source: Digest) -> int:
        """How often that happened."""
        return self._pulls[source]

    @property
    def records(self) -> list[SquashRecord]:
        """The images, the newest first."""
        with self._lock:
            return list(reversed(self._records))

    @property
    def problems(self) -> list[Problem]:
        """The errors, the newest first."""
        with self._lock:
            return list(reversed(self._problems))
