"""The worker's side: squashing images that servers ask for, into the store that they share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.config.configuration import Configuration
from squashproxy.config.serve import RegistryStoreSettings
from squashproxy.errors import SquashproxyError
from squashproxy.fleet.job import JobBody
from squashproxy.progress import Observer
from squashproxy.registry.http.rate_limit import Pacer
from squashproxy.registry.options import ClientOptions
from squashproxy.server.jobs.fleet_images import ImageJournal, ImageLog, journal_name
from squashproxy.server.jobs.fleet_order import FleetOrder, SquashResult, read_order
from squashproxy.server.jobs.idle_watch import IdleWatch
from squashproxy.server.jobs.job import SquashOrder
from squashproxy.server.jobs.jobs import idle_error
from squashproxy.server.jobs.parts import SquashParts, open_parts
from squashproxy.server.jobs.policy import terms_of
from squashproxy.server.jobs.squasher import Squasher
from squashproxy.server.store.base import SquashRecord

_LOG = logging.getLogger("squashproxy.server")


class HandlerFleet(Protocol):
    """The fleet, as far as the handler uses it: fleet/fleet.py."""

    def pacer(self, rates: Mapping[str, float], sleep: Callable[[float], None]) -> Pacer:
        """Keeps to the rates of registries together with all other processes."""
        ...

    def journal(self, name: str) -> ImageJournal:
        """A list in the broker."""
        ...


class OtherConfiguration(SquashproxyError):
    """The worker's configuration does not have what a job names; that of another one may."""

    @property
    def temporary(self) -> bool:
        """Always true: it ends when the worker is restarted with the servers' configuration."""
        return True


class SquashHandler:
    """Does the jobs of kind `squash`. Usable from several threads.

    `store` is the place of the store, `idle` as `limits.job_idle`; `on_image` is called with each
    image that was squashed.
    """

    def __init__(
        self,
        parts: SquashParts,
        store: str,
        idle: float,
        on_image: Callable[[SquashRecord], None],
    ) -> None:
        self._parts = parts
        self._store = store
        self._idle = idle
        self._on_image = on_image

    def __call__(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, object]:
        """Squash what the body names. Raises Cancelled where the worker gives it up.

        The result is for `read_result`, in fleet_order.py.
        """
        order = read_order(body)
        fetched = _Fetched()
        squasher = Squasher(self._parts.upstreams, self._parts.store, fetched.add)
        with IdleWatch(observer, cancellation, self._idle) as watch:
            try:
                record = squasher.squash(self._order(order), watch, cancellation)
            except Cancelled as error:
                if watch.has_given_up:
                    raise idle_error(order.image, self._idle) from error
                raise
        self._on_image(record)
        return SquashResult(record, fetched.count).to_json()

    def _order(self, order: FleetOrder) -> SquashOrder:
        """The order with this worker's own options. Raises OtherConfiguration."""
        repository = order.key.repository
        recipe = self._parts.rules.find(repository)
        if (
            recipe is None
            or recipe.hash != order.key.options
            or terms_of(recipe.options, repository) != order.terms
            or order.store != self._store
            or repository.host not in self._parts.upstreams.hosts
        ):
            raise OtherConfiguration(
                f"this worker's configuration does not squash {repository} into {order.store} "
                "as the server's does",
                advice="start servers and workers with the same configuration",
            )
        return SquashOrder(order.key, order.image, order.caller, recipe.options)


class _Fetched:
    """Counts bytes, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self, count: int) -> None:
        with self._lock:
            self.count += count


@contextmanager
def open_squash_handler(
    configuration: Configuration,
    common: ClientOptions,
    environ: Mapping[str, str],
    fleet: HandlerFleet,
) -> Iterator[SquashHandler | None]:
    """Open the handler for a worker process, and close its connections at the end.

    None where the configuration has no section `serve`, or its store is a folder: a worker has
    nothing to do for such a server. Raises UsageError for a store that cannot work.
    """
    settings = configuration.serve
    if settings is None or not isinstance(settings.store, RegistryStoreSettings):
        yield None
        return
    place = str(settings.store.registry)
    log = ImageLog(fleet.journal(journal_name(place)))
    with open_parts(
        *(configuration, common, environ), on_failure=_note_failure, warn=_warn, pacer=fleet.pacer
    ) as parts:
        yield SquashHandler(parts, place, settings.limits.job_idle, log.add)


def _note_failure(host: str, error: SquashproxyError) -> None:
    _LOG.debug("%s: %s", host, error)


def _warn(about: str, sentence: str) -> None:
    _LOG.warning("%s: %s", about, sentence)
