"""A worker for the jobs of a configuration."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from squashproxy.automation.fleet import fleet_settings
from squashproxy.automation.options import RunOptions
from squashproxy.config.configuration import Configuration
from squashproxy.config.warnings import warnings_of
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.missing import check_installed

_LOG = logging.getLogger("squashproxy.fleet")


def show_progress_lines() -> None:
    """Log when each job begins and ends, whatever else is logged."""
    _LOG.setLevel(min(_LOG.getEffectiveLevel(), logging.INFO))


def work_until_signalled(
    configuration: Configuration,
    options: RunOptions,
    queues: Sequence[QueueName],
    liveness: Path | None,
) -> None:
    """Run the jobs of a configuration's fleet until SIGTERM or SIGINT.

    `liveness` is a file that is touched as long as the worker listens. Raises UsageError where the
    engine is not celery or its packages are missing, ForeignFleet, BrokerAway after the broker was
    away for minutes, and BrokerRefused.
    """
    settings = fleet_settings(configuration, options.client.ca)
    check_installed()
    from squashproxy.automation.worker_handlers import open_handlers  # noqa: PLC0415 - see below
    from squashproxy.fleet.worker import run_worker  # noqa: PLC0415 - needs the extra `fleet`

    for sentence in warnings_of(configuration):
        _LOG.warning("%s", sentence)
    run_worker(
        settings,
        queues,
        partial(open_handlers, configuration, options),
        liveness=liveness,
        sleep=time.sleep,
    )
