"""Rates of requests that all workers share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import FleetError
from squashproxy.registry.http.rate_limit import RateLimit

_LOG = logging.getLogger("squashproxy.fleet")


class SharedRateLimit:
    """Spaces the requests of all processes to a host evenly, as RateLimit does those of one.

    `rates` holds requests per second, by host. While the broker is away, each process keeps to the
    rate for itself. Usable from several threads.
    """

    def __init__(
        self,
        broker: Broker,
        rates: Mapping[str, float],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._gaps = {host: 1_000_000 / rate for host, rate in rates.items()}
        self._sleep = sleep
        self._local = RateLimit(rates, sleep, clock)

    def wait(self, host: str) -> None:
        """Wait until the next request to `host` may be sent."""
        gap = self._gaps.get(host)
        if gap is None:
            return
        try:
            micros = int(self._broker.run("pace", host, gap))
        except FleetError as error:
            _LOG.debug("%s", error)
            self._local.wait(host)
            return
        if micros > 0:
            self._sleep(micros / 1_000_000)
