"""Room in a store of bounded size: unfinished files count, too."""

from __future__ import annotations

import threading
from collections.abc import Callable

from squashproxy.server.store.spools import StoreFull


class Room:
    """The bytes that files of a store may still take; usable from several threads.

    `measure` gives the bytes that finished files leave free; `make_room` evicts, if it can, until
    these are as many as it is told. `name` is the store's, for errors.
    """

    def __init__(
        self, name: str, measure: Callable[[], int], make_room: Callable[[int], object]
    ) -> None:
        self._name = name
        self._measure = measure
        self._make_room = make_room
        self._lock = threading.Lock()
        self._taken = 0
        self._free: int | None = None

    def take(self, count: int) -> None:
        """Take `count` bytes for an unfinished file. Raises StoreFull if they are not there."""
        with self._lock:
            wanted = self._taken + count
            if self._free is None or wanted > self._free:
                self._free = self._measure()
            if wanted > self._free:
                self._make_room(wanted)
                self._free = self._measure()
            if wanted > self._free:
                raise StoreFull(
                    f"{self._name} has reached its max_size, and all that it holds is in use",
                    advice="raise max_size",
                )
            self._taken = wanted

    def give_back(self, count: int) -> None:
        """Give back the bytes of a file that is finished, and so measured, or that is gone."""
        with self._lock:
            self._taken -= count
            self._free = None
