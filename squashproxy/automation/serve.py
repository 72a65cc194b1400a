"""Serving images until a signal ends it."""

from __future__ import annotations

import asyncio
import os
from typing import IO

from squashproxy.automation.options import RunOptions
from squashproxy.config.configuration import Configuration
from squashproxy.config.warnings import warnings_of
from squashproxy.report.observer import LoggingObserver
from squashproxy.server.http.sockets import raise_file_limit
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
    Raises UsageError where an address cannot be listened on, or the store cannot be used.
    """
    raise_file_limit()
    observer = LoggingObserver()
    for sentence in warnings_of(configuration):
        observer.warn(sentence)
    asyncio.run(
        serve(
            configuration,
            options.client,
            os.environ,
            access_log=access_log,
            on_ready=on_ready,
            until=signalled,
        )
    )
