"""Errors of the fleet; each belongs to the tree in squashproxy/errors.py."""

from __future__ import annotations

from squashproxy.errors import SquashproxyError, UsageError


class FleetError(SquashproxyError):
    """The broker or a worker could not do what was asked."""


class BrokerAway(FleetError):
    """The broker cannot be used now: not reached, loading, full, or a replica that only reads."""

    @property
    def temporary(self) -> bool:
        """Always true."""
        return True


class BrokerRefused(FleetError):
    """The broker will not work as it is: wrong password, too old, or not trusted."""


class FleetMissing(UsageError):
    """The engine is celery, but the packages of the extra `fleet` are not installed."""


class ForeignFleet(UsageError):
    """The queue belongs to processes of another configuration."""


class LeaseLost(FleetError):
    """A lease could not be renewed in time, so another process may hold it now."""

    @property
    def temporary(self) -> bool:
        """Always true."""
        return True


class JobFailed(FleetError):
    """A worker ran the job, and it failed; the text is the worker's.

    `kind` is the name of the worker's error class, such as `NotFound`.
    """

    def __init__(
        self, fact: str, *, advice: str = "", kind: str = "", is_temporary: bool = False
    ) -> None:
        super().__init__(fact, advice=advice)
        self.kind = kind
        self._is_temporary = is_temporary

    @property
    def temporary(self) -> bool:
        """What the worker's error said."""
        return self._is_temporary


class JobParked(FleetError):
    """The job ended its worker several times, so nobody takes it until it is retried by hand.

    `job` is its ID.
    """

    def __init__(self, fact: str, *, advice: str = "", job: str = "") -> None:
        super().__init__(fact, advice=advice)
        self.job = job
