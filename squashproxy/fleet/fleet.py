"""The fleet as seen by those who submit jobs; usable from many threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.changes import Changes
from squashproxy.fleet.errors import FleetError
from squashproxy.fleet.follow import Follower
from squashproxy.fleet.job import JobRequest
from squashproxy.fleet.journal import Journal
from squashproxy.fleet.leases import Lease, LeaseKeeper
from squashproxy.fleet.members import Member
from squashproxy.fleet.messages import Messenger
from squashproxy.fleet.pacer import SharedRateLimit
from squashproxy.fleet.records import Records, Submitted
from squashproxy.fleet.settings import FleetSettings, process_name
from squashproxy.fleet.snapshot import Snapshot
from squashproxy.fleet.starts import Starts
from squashproxy.fleet.view import read_snapshot
from squashproxy.fleet.waiting import Waiting, parked
from squashproxy.progress import Observer
from squashproxy.state.locks import RuleBusy

_LOG = logging.getLogger("squashproxy.fleet")
_SUBMITTING = 4
"""The most threads that submit at once: each of them needs a connection to the broker."""


class Fleet:
    """Runs jobs on workers, and holds what only one process may have at a time.

    Opening it connects to nothing. `open_fleet` in open.py opens one, and joins the fleet.
    """

    def __init__(
        self,
        settings: FleetSettings,
        *,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.name = name or process_name()
        self._clock = clock
        self._broker = Broker(settings)
        self._records = Records(self._broker)
        self._messenger = Messenger(settings)
        self._changes = Changes(self._broker)
        self._leases = LeaseKeeper(settings.renewal)
        self._joining = threading.Lock()
        self._submitting = threading.Semaphore(_SUBMITTING)
        self._member: Member | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Fleet({self.address!r})"

    @property
    def address(self) -> str:
        """The broker's scheme, host and port."""
        return self._broker.address

    def check(self) -> Sequence[str]:
        """Warnings about the broker. Raises BrokerAway, and BrokerRefused where it is of no use."""
        return self._broker.check()

    def join(self, facts: Mapping[str, Any] | None = None) -> None:
        """Say from now on that this process takes part in the fleet, unless it says so already.

        Raises ForeignFleet where the queue belongs to another configuration, BrokerAway and
        BrokerRefused.
        """
        with self._joining:
            if self._member is None:
                member = Member(self._broker, self.name, facts or {"role": "submitter"})
                member.start()
                self._member = member

    def close(self) -> None:
        """Release all leases, and leave the fleet."""
        self._leases.close()
        self._changes.close()
        if self._member is not None:
            self._member.leave()
        self._messenger.close()
        self._broker.close()

    def run(
        self,
        request: JobRequest,
        observer: Observer,
        cancellation: Cancellation,
        *,
        patience: float | None = None,
    ) -> Mapping[str, Any]:
        """Run a job on a worker, and wait for its result.

        If the same job is queued or running already, this joins it. `observer` is shown what the
        worker reports, and also told when the broker is away and is waited for. If the broker lost
        the job, it is submitted again.

        Raises JobFailed with the worker's sentence; JobParked; BrokerAway after the broker was away
        for `patience` seconds (those of the settings if None); BrokerRefused; Cancelled. A job that
        nobody waits for any more after that is cancelled, too.
        """
        waiting = Waiting(
            request,
            partial(self._submit, request, self._changes.channel),
            partial(self._records.look, request.id),
            observer=observer,
            cancellation=cancellation,
            seconds=self.settings.patience if patience is None else patience,
            clock=self._clock,
        )
        with self._changes.of(request.id) as changed:
            try:
                return waiting.result(changed)
            except Cancelled:
                self._leave(request)
                raise

    def submit(self, request: JobRequest) -> None:
        """Submit a job without waiting for it. Raises BrokerAway, BrokerRefused and JobParked."""
        self._submit(request, "")

    def follower(self, on_away: Callable[[FleetError], None]) -> Follower:
        """Follows many jobs at once, each without a thread that waits for it.

        `on_away` is called, in a thread, whenever the broker could not be used.
        """
        return Follower(self._broker, self._records, self._messenger, on_away, clock=self._clock)

    @contextmanager
    def hold(self, section: str, rules: Sequence[str]) -> Iterator[Hold]:
        """Hold the lease of each rule while the block runs.

        Raises RuleBusy where another process has one, BrokerAway and BrokerRefused.
        """
        with ExitStack() as stack:
            leases = []
            for rule in sorted(set(rules)):
                lease = self._lease(f"lock:{section}:{rule}")
                if holder := lease.take():
                    raise RuleBusy(
                        f"the {section} rule {rule} runs already in {holder}, and this would get "
                        "in its way; try again when that has ended"
                    )
                self._leases.add(lease)
                stack.callback(self._leases.drop, lease)
                leases.append(lease)
            yield Hold(leases)

    @contextmanager
    def lead(self) -> Iterator[Leadership]:
        """Stand as leader while the block runs, to run schedules: one process of the fleet is it.

        Nothing is raised: while the broker is away nobody leads, or whoever did until its lease
        ends.
        """
        lease = self._lease("leader")
        leadership = Leadership(lease, self.name)
        leadership.try_now()
        self._leases.add(lease)
        try:
            yield leadership
        finally:
            self._leases.drop(lease)

    def pacer(
        self,
        rates: Mapping[str, float],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> SharedRateLimit:
        """A rate limit for each host that all processes of the fleet share.

        `rates` holds requests per second. Its `wait(host)` is that of RateLimit in
        registry/http/rate_limit.py.
        """
        return SharedRateLimit(self._broker, rates, sleep, clock)

    def journal(self, name: str) -> Journal:
        """A list of entries that outlives the process, such as what a job is about to delete."""
        return Journal(self._broker, name)

    def starts(self) -> Starts:
        """When the rules of the fleet ran last."""
        return Starts(self._broker)

    def snapshot(self) -> Snapshot:
        """What is queued, running, failed and parked. Raises BrokerAway and BrokerRefused."""
        return read_snapshot(self._broker)

    def retry(self, job: str) -> None:
        """Queue a job that failed or was parked; its deliveries are counted from the start.

        Raises FleetError where there is no such job, BrokerAway and BrokerRefused.
        """
        self._messenger.send(self._records.retry(job))

    def _lease(self, key: str) -> Lease:
        return Lease(self._broker, key, self.name, self._clock)

    def _submit(self, request: JobRequest, waiter: str) -> None:
        with self._submitting:
            outcome, message = self._records.submit(request, waiter)
            if message is not None:
                self._messenger.send(message)
        if outcome is Submitted.PARKED:
            raise parked(request, self._records.look(request.id))

    def _leave(self, request: JobRequest) -> None:
        try:
            self._records.leave(request.id, self._changes.channel)
        except FleetError as error:
            _LOG.debug("%s", error)


class Hold:
    """The leases of some rules."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self._leases = leases

    def check(self) -> None:
        """Raise LeaseLost where another process may run one of the rules by now."""
        for lease in self._leases:
            lease.check()


class Leadership:
    """Whether this process leads."""

    def __init__(self, lease: Lease, name: str) -> None:
        self._lease = lease
        self._name = name

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now; asks nobody."""
        return self._lease.is_held

    def try_now(self) -> bool:
        """Try to lead, or to go on leading, at once; it is tried from time to time anyway."""
        try:
            self._lease.take()
        except FleetError as error:
            _LOG.debug("%s", error)
        return self.is_leader
