"""What `squashproxy run` does once its options are read."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from squashproxy.cli.brake import Brake
from squashproxy.cli.options import CommonOptions
from squashproxy.cli.routines import routines_of
from squashproxy.cli.rules import default_state
from squashproxy.cli.serving import serve_until
from squashproxy.config.cautions import warnings_of
from squashproxy.config.configuration import Configuration
from squashproxy.config.reading import read_configuration
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.routine.scheduling import Scheduler
from squashproxy.server.running import signalled
from squashproxy.state.database import open_state
from squashproxy.state.runs import RunHistory

_LOG = logging.getLogger("squashproxy.routine")
_GRACE_SECONDS = 30.0
_CANCEL_SECONDS = 10.0


def run_rules(common: CommonOptions, path: Path) -> None:
    """Run until SIGTERM or SIGINT; then let images that are under way end for 30 s.

    Raises UsageError where there is nothing that could ever run.
    """
    configuration = read_configuration(path, os.environ)
    for sentence in warnings_of(configuration):
        _LOG.warning("%s", sentence)
    brake = Brake()
    routines = routines_of(configuration, common, brake)
    if not routines and configuration.serve is None:
        raise UsageError(
            f"{path} has neither a rule with a schedule nor a section `serve`; write one"
        )
    with open_state(configuration.state or default_state(os.environ)) as database:
        history = RunHistory(database)
        scheduler = Scheduler(history, time.time)
        scheduler.load(routines)
        thread = threading.Thread(target=scheduler.run, name="squashproxy-scheduler", daemon=True)
        if not common.quiet:
            _LOG.setLevel(min(_LOG.getEffectiveLevel(), logging.INFO))
        thread.start()
        _LOG.info("rules with a schedule: %d", len(routines))
        reload = partial(_reload, path, configuration, scheduler, common, brake)
        try:
            asyncio.run(_until_signalled(configuration, common, reload, history))
        finally:
            _end(scheduler, brake)
            thread.join(_CANCEL_SECONDS)


async def _until_signalled(
    configuration: Configuration,
    common: CommonOptions,
    reload: Callable[[], None],
    history: RunHistory,
) -> None:
    async def until() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        await signalled()

    if configuration.serve is None:
        await until()
    else:
        await serve_until(configuration, common, os.environ, sys.stdout, until, runs=history)


def _reload(
    path: Path,
    before: Configuration,
    scheduler: Scheduler,
    common: CommonOptions,
    brake: Brake,
) -> None:
    """Take the new rules; what runs goes on as it began."""
    try:
        configuration = read_configuration(path, os.environ)
        routines = routines_of(configuration, common, brake)
    except SquashproxyError as error:
        for sentence in error.sentences:
            _LOG.error("%s", sentence)
        _LOG.error("%s is not valid, so the rules stay as they were", path)
        return
    scheduler.load(routines)
    _LOG.info("%s was read again; rules with a schedule: %d", path, len(routines))
    if configuration.serve != before.serve or configuration.state != before.state:
        _LOG.warning("serve and state stay as they were until this process starts again")


def _end(scheduler: Scheduler, brake: Brake) -> None:
    scheduler.stop()
    brake.is_stopped = True
    _LOG.info("ends; still running: %s", ", ".join(scheduler.running) or "nothing")
    if not scheduler.wait(_GRACE_SECONDS):
        _LOG.warning("cancelling %s, which did not end in time", ", ".join(scheduler.running))
        brake.is_cancelled = True
        scheduler.wait(_CANCEL_SECONDS)
