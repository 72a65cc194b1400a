"""The images that workers squashed, listed in the broker: each server's page shows them all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from squashproxy.fleet.errors import FleetError
from squashproxy.server.store.base import SquashRecord, parse_record

_LOG = logging.getLogger("squashproxy.server")
MOST = 1000
"""The number of images that are listed."""
_LATEST = 30


class ImageJournal(Protocol):
    """A list in the broker: fleet/journal.py."""

    def append(self, entry: Any, *, most: int | None = None) -> None:
        """Write an entry."""
        ...

    def read(self, start: int = 0) -> list[Any]:
        """The entries from an index on."""
        ...


def journal_name(store: str) -> str:
    """The name of the list for the store at a place."""
    return f"images:{store}"


class ImageLog:
    """Writes to the list, on a worker. What cannot be written is left out: it is only for show."""

    def __init__(self, journal: ImageJournal) -> None:
        self._journal = journal

    def add(self, record: SquashRecord) -> None:
        """Add an image."""
        try:
            self._journal.append(record.to_json(), most=MOST)
        except FleetError as error:
            _LOG.debug("%s", error)


class ImageNews:
    """Reads the list, in a server: `on_image` is called for each image that is new there."""

    def __init__(self, journal: ImageJournal, on_image: Callable[[SquashRecord], None]) -> None:
        self._journal = journal
        self._on_image = on_image
        self._last: Any = None

    def look(self) -> None:
        """Read what is new. Raises FleetError."""
        latest = self._journal.read(-1)
        if not latest or latest[-1] == self._last:
            return
        entries = self._journal.read(-_LATEST)
        if self._last not in entries:
            entries = self._journal.read(-MOST)
        if self._last in entries:
            entries = entries[entries.index(self._last) + 1 :]
        for entry in entries:
            self._last = entry
            try:
                self._on_image(parse_record(entry))
            except ValueError as error:
                _LOG.debug("%s", error)
