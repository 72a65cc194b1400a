"""FleetWatch: what the fleet does, looked at every few seconds, for the page, metrics and pulls."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from squashproxy.errors import SquashproxyError
from squashproxy.fleet.errors import BrokerAway
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.settings import VERSION
from squashproxy.fleet.snapshot import Snapshot
from squashproxy.server.jobs.fleet_images import ImageNews

_LOG = logging.getLogger("squashproxy.server")
_LOOK_SECONDS = 3.0
_AGAIN_SECONDS = 1.0
"""How often it is looked while the broker is away."""


class Watchable(Protocol):
    """The fleet, as far as it is watched."""

    def check(self) -> Sequence[str]:
        """Warnings about the broker. Raises an error where it cannot be used."""
        ...

    def join(self, facts: Mapping[str, Any] | None = None) -> None:
        """Say from now on that this process takes part. Raises an error where it may not."""
        ...

    def snapshot(self) -> Snapshot:
        """The state now. Raises an error where the broker cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class FleetState:
    """What is known of the fleet; times in unix seconds.

    `snapshot` is the last one, taken at `at`; None if there never was one. `away` is the reason
    while the broker is away, else empty. `since` is when it went away, or came.
    """

    snapshot: Snapshot | None
    at: float
    away: str
    since: float

    @property
    def is_stuck(self) -> bool:
        """Whether it is known that no job gets done soon: no broker, or nobody who works."""
        return bool(self.away) or (self.snapshot is not None and not _has_workers(self.snapshot))


def _has_workers(snapshot: Snapshot) -> bool:
    """Whether any worker takes jobs of servers."""
    return snapshot.has_workers(QueueName.INTERACTIVE, VERSION)


class FleetWatch:
    """Joins the fleet, and looks at it in a thread of its own, and at `news` if there are any.

    `warn` gets sentences for the operator, in any thread. `state` may be read anywhere, and costs
    nothing.
    """

    def __init__(
        self,
        fleet: Watchable,
        warn: Callable[[str], None],
        news: ImageNews | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._warn = warn
        self._news = news
        self._clock = clock
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="squashproxy-fleet-watch", daemon=True
        )
        self.state = FleetState(None, 0.0, "", clock())
        self._is_member = False
        self._has_workers = True

    def enter(self) -> None:
        """Join the fleet, now or as soon as its broker is there.

        Raises errors that waiting does not mend: a broker that refuses, and a queue that belongs to
        another configuration. Blocks.
        """
        try:
            self._join()
        except BrokerAway as error:
            self.note_away(error)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look that is under way may end later."""
        self._is_over.set()

    def close(self, seconds: float) -> bool:
        """Stop, and wait at most `seconds` for the thread; whether it ended. Blocks."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def look(self) -> None:
        """Look once."""
        try:
            self._join()
            snapshot = self._fleet.snapshot()
            if self._news is not None:
                self._news.look()
        except SquashproxyError as error:
            self.note_away(error)
            return
        self._note_back()
        with self._lock:
            self.state = replace(self.state, snapshot=snapshot, at=self._clock())
        self._tell_of_workers(snapshot)

    def note_away(self, error: SquashproxyError) -> None:
        """Note that the broker could not be used; from any thread."""
        with self._lock:
            is_news = not self.state.away
            since = self._clock() if is_news else self.state.since
            self.state = replace(self.state, away=str(error), since=since)
        if is_news:
            fact = f"{error.fact}, so images that are not squashed yet are handed out as they are"
            self._warn(f"{fact}; {error.advice}" if error.advice else fact)

    def _join(self) -> None:
        if not self._is_member:
            for sentence in self._fleet.check():
                self._warn(sentence)
            self._fleet.join({"role": "serve"})
            self._is_member = True

    def _note_back(self) -> None:
        with self._lock:
            before = self.state
            if before.away:
                self.state = replace(before, away="", since=self._clock())
        if before.away:
            away = self._clock() - before.since
            _LOG.warning("the broker is back; it was away for %.0f s", away)

    def _tell_of_workers(self, snapshot: Snapshot) -> None:
        has_workers = _has_workers(snapshot)
        if self._has_workers and not has_workers:
            what = "no worker runs"
            if snapshot.workers:
                what = f"no worker of version {VERSION} takes {QueueName.INTERACTIVE.value} jobs"
            self._warn(
                f"{what}, so images that are not squashed yet are handed out as they are; "
                "start squashproxy worker with this configuration"
            )
        self._has_workers = has_workers

    def _run(self) -> None:
        while not self._is_over.is_set():
            self.look()
            self._is_over.wait(_AGAIN_SECONDS if self.state.away else _LOOK_SECONDS)
