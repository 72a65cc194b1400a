"""A process that serves and runs rules on their schedules until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO

from squashproxy.automation.context import default_state
from squashproxy.automation.engine import open_lasting_engine
from squashproxy.automation.jobs import scheduled_jobs
from squashproxy.automation.leader import open_turns
from squashproxy.automation.options import RunOptions
from squashproxy.automation.scheduler import Job, Scheduler
from squashproxy.cancellation import Cancellation
from squashproxy.config.configuration import Configuration
from squashproxy.config.read import read_configuration
from squashproxy.config.warnings import warnings_of
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.server.listen import ReadyListener, serve, signalled
from squashproxy.state.database import open_state
from squashproxy.state.runs import RunHistory

_LOG = logging.getLogger("squashproxy.automation")
_GRACE_SECONDS = 30.0
_CANCEL_SECONDS = 10.0


def show_progress_lines() -> None:
    """Log when each run begins and ends, whatever else is logged."""
    _LOG.setLevel(min(_LOG.getEffectiveLevel(), logging.INFO))


def run_until_signalled(
    path: Path, options: RunOptions, *, access_log: IO[str] | None, on_ready: ReadyListener
) -> None:
    """Run until SIGTERM or SIGINT; then let running images finish for up to 30 s.

    SIGHUP reads the configuration at `path` again. `access_log` and `on_ready` are for its server,
    where it has a section `serve`. Several such processes of one fleet take turns: one of them
    begins the runs. Raises UsageError where there is nothing that could ever run, and what opening
    the engine does.
    """
    configuration = read_configuration(path, os.environ)
    for sentence in warnings_of(configuration):
        _LOG.warning("%s", sentence)
    cancellation = Cancellation()
    with (
        open_lasting_engine(configuration, options, _LOG.warning) as fleet,
        open_turns(fleet) as turns,
        open_state(configuration.state or default_state(os.environ)) as database,
    ):
        read = partial(scheduled_jobs, options=options, cancellation=cancellation, fleet=fleet)
        jobs = read(configuration)
        if not jobs and configuration.serve is None:
            raise UsageError(
                f"{path} has neither a rule with a schedule nor a section `serve`",
                advice="write one",
            )
        history = RunHistory(database)
        scheduler = Scheduler(history, time.time, turns)
        scheduler.load(jobs)
        thread = threading.Thread(target=scheduler.run, name="squashproxy-scheduler", daemon=True)
        thread.start()
        _LOG.info("rules with a schedule: %d", len(jobs))
        reload = partial(_reload, path, configuration, scheduler, read)
        try:
            serving = partial(
                serve,
                configuration,
                options.client,
                os.environ,
                access_log=access_log,
                on_ready=on_ready,
                runs=history,
                fleet=fleet,
            )
            asyncio.run(_until_signalled(None if configuration.serve is None else serving, reload))
        finally:
            _end(scheduler, cancellation)
            thread.join(_CANCEL_SECONDS)


async def _until_signalled(
    serving: Callable[..., Awaitable[None]] | None, reload: Callable[[], None]
) -> None:
    async def until() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        await signalled()

    if serving is None:
        await until()
    else:
        await serving(until=until)


def _reload(
    path: Path,
    before: Configuration,
    scheduler: Scheduler,
    read: Callable[[Configuration], list[Job]],
) -> None:
    """Load the configuration again; running jobs finish with the old one."""
    try:
        configuration = read_configuration(path, os.environ)
        jobs = read(configuration)
    except SquashproxyError as error:
        for sentence in error.sentences():
            _LOG.error("%s", sentence)
        _LOG.error("%s is not valid, so the rules stay as they were", path)
        return
    scheduler.load(jobs)
    _LOG.info("%s was read again; rules with a schedule: %d", path, len(jobs))
    if (configuration.serve, configuration.state) != (before.serve, before.state):
        _LOG.warning("serve and state stay as they were until this process starts again")
    if configuration.engine != before.engine:
        _LOG.warning("engine stays as it was until this process starts again")


def _end(scheduler: Scheduler, cancellation: Cancellation) -> None:
    scheduler.stop()
    cancellation.stop()
    _LOG.info("ends; still running: %s", ", ".join(scheduler.running) or "nothing")
    if not scheduler.wait(_GRACE_SECONDS):
        _LOG.warning("cancelling %s, which did not end in time", ", ".join(scheduler.running))
        cancellation.cancel()
        scheduler.wait(_CANCEL_SECONDS)
