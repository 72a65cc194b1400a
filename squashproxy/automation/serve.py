"""Serving images until a signal ends it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from squashproxy.automation.fleet import fleet_settings, is_fleet
from squashproxy.automation.options import RunOptions
from squashproxy.config.configuration import Configuration
from squashproxy.config.warnings import warnings_of
from squashproxy.fleet.open import open_fleet
from squashproxy.report.observer import LoggingObserver
from squashproxy.server.http.sockets import raise_file_limit
from squashproxy.server.jobs.fleet_work import ServeFleet
from squashproxy.server.listen import ReadyListener, serve, signalled


def serve_until_signalled(
    configuration: Configuration,
    options: RunOptions,
    *,
    access_log: IO[str] | None,
    on_ready: ReadyListener,
) -> None:
    """Serve until SIGTERM or SIGINT.

    `access_log` gets one JSON object per line; `on_ready` is called with the open addresses.
    Raises UsageError where an address cannot be listened on, or the store cannot be used, and
    FleetError where the broker refuses.
    """
    raise_file_limit()
    observer = LoggingObserver()
    for sentence in warnings_of(configuration):
        observer.warn(sentence)
    with opened_fleet(configuration, options.client.ca) as fleet:
        asyncio.run(
            serve(
                configuration,
                options.client,
                os.environ,
                access_log=access_log,
                on_ready=on_ready,
                until=signalled,
                fleet=fleet,
            )
        )


@contextmanager
def opened_fleet(configuration: Configuration, ca: Path | None) -> Iterator[ServeFleet | None]:
    """The fleet whose workers squash; None where the configuration has none.

    It is not joined yet: a server starts while the broker is away, too. `ca` as in fleet_settings.
    """
    if not is_fleet(configuration):
        yield None
        return
    with open_fleet(fleet_settings(configuration, ca), is_member=False) as fleet:
        yield fleet
