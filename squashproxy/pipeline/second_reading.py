"""Work that is done once more where bytes of its source were wrong: they may be right then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from squashproxy.errors import IntegrityError
from squashproxy.progress import Observer

T = TypeVar("T")


class SecondReading:
    """Lets each blob be wrong once: a bit flips on the way, too, and not only where it is kept."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._wrong: set[str] = set()

    def run(self, work: Callable[[], T], begin_again: Callable[[], None] = lambda: None) -> T:
        """The result of `work`, which is done again for each blob that is wrong for the first time.

        `begin_again` is called before that. Raises what `work` raises.
        """
        while True:
            try:
                return work()
            except IntegrityError as error:
                if not error.blob or error.blob in self._wrong:
                    raise
                self._wrong.add(error.blob)
                self._observer.warn(f"{error.fact}; it is read once more from its start")
                begin_again()
