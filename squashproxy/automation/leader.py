"""Taking turns with other processes that have the same schedules: only the leader begins runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from squashproxy.fleet.errors import FleetError

if TYPE_CHECKING:  # needs the extra `fleet`
    from squashproxy.fleet.fleet import Fleet, Leadership

_LOG = logging.getLogger("squashproxy.automation")


class Turns(Protocol):
    """Says whether this process is the one to begin runs, and when others began theirs."""

    def leads(self) -> bool:
        """Whether this process may begin runs now."""
        ...

    def last(self, section: str, rule: str) -> float | None:
        """When another process began a rule last, in unix seconds; None where nobody knows."""
        ...

    def note(self, section: str, rule: str, at: float) -> None:
        """Tell the others that a rule begins now."""
        ...


class Alone:
    """There is no other process."""

    def leads(self) -> bool:
        """Always true."""
        return True

    def last(self, section: str, rule: str) -> None:  # noqa: ARG002 - the protocol's names
        """Nobody else began it."""
        return

    def note(self, section: str, rule: str, at: float) -> None:
        """Do nothing."""


class FleetTurns:
    """Turns of the processes of a fleet; it logs when this one begins and ceases to lead."""

    def __init__(self, fleet: Fleet, leadership: Leadership) -> None:
        self._fleet = fleet
        self._leadership = leadership
        self._starts = fleet.starts()
        self._led: bool | None = None

    def leads(self) -> bool:
        """Whether this process may begin runs now."""
        leads = self._leadership.is_leader
        if leads != self._led:
            self._led = leads
            self._say()
        return leads

    def last(self, section: str, rule: str) -> float | None:
        """When any process of the fleet began a rule last; None where the broker does not say."""
        try:
            return self._starts.last(section, rule)
        except FleetError as error:
            _LOG.debug("%s", error)
            return None

    def note(self, section: str, rule: str, at: float) -> None:
        """Tell the others that a rule begins now; without a broker they hear of it never."""
        try:
            self._starts.note(section, rule, at)
        except FleetError as error:
            _LOG.debug("%s", error)

    def _say(self) -> None:
        if self._led:
            _LOG.info("this process leads, so it begins the runs")
            return
        try:
            self._fleet.check()
        except FleetError as error:
            _LOG.warning("%s; until it is back no run begins", error.fact)
        else:
            _LOG.info("another process leads; this one takes over when that ends")


@contextmanager
def open_turns(fleet: Fleet | None) -> Iterator[Turns]:
    """Stand as leader while the block runs; without a fleet there is nobody else."""
    if fleet is None:
        yield Alone()
        return
    with fleet.lead() as leadership:
        yield FleetTurns(fleet, leadership)
