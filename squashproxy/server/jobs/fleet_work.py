"""The fleet in a server: the place of its jobs, and what is known of the workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from squashproxy.fleet.errors import FleetError
from squashproxy.registry.http.rate_limit import Pacer, RateLimit
from squashproxy.server.jobs.fleet_images import ImageJournal, ImageNews, journal_name
from squashproxy.server.jobs.fleet_place import FleetPlace, Following
from squashproxy.server.jobs.fleet_watch import FleetWatch, Watchable
from squashproxy.server.store.base import SquashRecord


class ServeFleet(Watchable, Protocol):
    """The fleet, as far as a server uses it: fleet/fleet.py."""

    def follower(self, on_away: Callable[[FleetError], None]) -> Following:
        """What submits jobs and follows them; `on_away` hears of a broker that is away."""
        ...

    def pacer(self, rates: Mapping[str, float], sleep: Callable[[float], None]) -> Pacer:
        """Keeps to the rates of registries together with all other processes."""
        ...

    def journal(self, name: str) -> ImageJournal:
        """A list in the broker."""
        ...


@dataclass(frozen=True, slots=True)
class FleetWork:
    """A place for jobs, and the watch over it; both have threads."""

    place: FleetPlace
    watch: FleetWatch
    follower: Following
    fleet: ServeFleet

    def pacer(self, rates: Mapping[str, float], sleep: Callable[[float], None]) -> Pacer:
        """Keeps to the rates of registries, for all servers and workers together."""
        return _Pacer(
            self.fleet.pacer(rates, sleep),
            RateLimit(rates, sleep, time.monotonic),
            lambda: bool(self.watch.state.away),
        )

    def start(self) -> None:
        """Start the threads."""
        self.watch.start()
        self.follower.start()

    async def close(self, seconds: float) -> bool:
        """Watch no more; whether the thread ended in time. The place is closed by Jobs."""
        return await asyncio.to_thread(self.watch.close, seconds)


@dataclass(frozen=True, slots=True)
class _Pacer:
    """Shares rates with others, but asks no broker that is known to be away: pulls would wait."""

    shared: Pacer
    local: Pacer
    is_away: Callable[[], bool]

    def wait(self, host: str) -> None:
        """Wait until the next request to `host` may be sent."""
        (self.local if self.is_away() else self.shared).wait(host)


def open_work(
    fleet: ServeFleet,
    store: str,
    warn: Callable[[str], None],
    on_image: Callable[[SquashRecord], None],
) -> FleetWork:
    """Join the fleet; `store` is the place where workers put images.

    `warn` gets sentences for the operator, `on_image` each image that a worker squashed, for
    whichever server; both in any thread. Raises what FleetWatch.enter does.
    """
    watch = FleetWatch(fleet, warn, ImageNews(fleet.journal(journal_name(store)), on_image))
    watch.enter()
    follower = fleet.follower(watch.note_away)
    place = FleetPlace(follower, store, lambda: watch.state.is_stuck)
    return FleetWork(place, watch, follower, fleet)
