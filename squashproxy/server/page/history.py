"""The history that the page shows: squashed images, pulls, and recent errors."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from squashproxy.digest import Digest
from squashproxy.pipeline.distinct_layers import DistinctLayers
from squashproxy.server.store.base import SquashRecord

_MOST_IMAGES = 1000
_MOST_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """An error or warning for the operator; `at` in unix seconds."""

    at: float
    image: str
    message: str


class History:
    """The history of this process, after the records that the store remembers."""

    def __init__(self, records: Iterable[SquashRecord]) -> None:
        self._lock = threading.Lock()
        self._records = deque(sorted(records, key=lambda record: record.made_at), _MOST_IMAGES)
        self._problems: deque[Problem] = deque(maxlen=_MOST_ERRORS)
        self._pulls: Counter[Digest] = Counter()

    def add(self, record: SquashRecord) -> None:
        """Add an image that was squashed, unless it is here already; from any thread."""
        with self._lock:
            if record not in self._records:
                self._records.append(record)

    def note_signed(self, result: Digest, fingerprint: str) -> None:
        """Note which key, by its fingerprint, has signed an image that was there before."""
        with self._lock:
            for at, record in enumerate(self._records):
                if record.digest == result:
                    self._records[at] = replace(record, signed_with=fingerprint)

    def add_problem(self, problem: Problem) -> None:
        """Add a problem, in place of the last one if that is the same; from any thread."""
        with self._lock:
            last = self._problems[-1] if self._problems else None
            if last is not None and (last.image, last.message) == (problem.image, problem.message):
                self._problems.pop()
            self._problems.append(problem)

    def count_pull(self, source: Digest) -> None:
        """Count a pull of the squashed image of a source."""
        self._pulls[source] += 1

    def pulls_of(self, source: Digest) -> int:
        """How often the squashed image of a source was pulled."""
        return self._pulls[source]

    @property
    def records(self) -> list[SquashRecord]:
        """The images, the newest first."""
        with self._lock:
            return list(reversed(self._records))

    @property
    def layers(self) -> list[DistinctLayers]:
        """The layers of the images whose record says them."""
        return layers_of(self.records)

    @property
    def problems(self) -> list[Problem]:
        """The errors, the newest first."""
        with self._lock:
            return list(reversed(self._problems))


def layers_of(records: Iterable[SquashRecord]) -> list[DistinctLayers]:
    """The layers of the images whose record says them."""
    return [record.layers for record in records if record.layers is not None]
