"""A worker: takes jobs from the queues, and runs them in processes of its own.

The parent listens to the queues (consumer.py) and forks the children, each of which runs one job
at a time. It also queues jobs again whose workers are gone, in turn with the other workers.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from celery import signals
from celery.apps.worker import Worker
from celery.platforms import EX_OK, SecurityWarning
from celery.worker import state

from squashproxy import __version__
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.consumer import Hearing, PulsingConsumer, use_liveness
from squashproxy.fleet.drain import Drain, Stage
from squashproxy.fleet.errors import BrokerAway, FleetError
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.handlers import Handlers, OpenHandlers
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.job_run import JobRun
from squashproxy.fleet.members import Member, beat_of
from squashproxy.fleet.messages import TASK, Messenger, celery_app, message_list, queue_list
from squashproxy.fleet.patience import Patience
from squashproxy.fleet.records import Records
from squashproxy.fleet.settings import FleetSettings, process_name

_LOG = logging.getLogger("squashproxy.fleet")
_MERCY = 15.0
"""Seconds that jobs have to end after they were cancelled, before their processes are killed."""


def run_worker(
    settings: FleetSettings,
    queues: Sequence[QueueName],
    open_handlers: OpenHandlers,
    *,
    liveness: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run jobs of `queues` until SIGTERM, then end within `settings.drain` seconds or little more.

    Jobs that have not ended by then go back into their queues. `liveness` is a file that is touched
    for as long as the worker listens. A broker that is away at the start is waited for with
    `sleep`. Raises ForeignFleet, BrokerAway and BrokerRefused, and what `open_handlers` raises,
    before anything runs; FleetError where the worker ends by itself.
    """
    name = process_name()
    broker = Broker(settings)
    for sentence in _checked(broker, sleep):
        _LOG.warning("%s", sentence)
    with Fleet(settings, name=name) as fleet, open_handlers(fleet):
        pass  # opened once here, so that a worker that could do nothing does not begin
    drain, server = Drain(), broker.run_id()
    upkeep = _Upkeep(settings, broker, name, queues)
    member = Member(broker, name, _facts(settings, queues), upkeep.turn)
    member.start()
    try:
        child = _Child(settings, name, server, drain, open_handlers)
        _run_celery(settings, queues, child, liveness, upkeep)
    finally:
        member.leave()
        upkeep.close()
        broker.close()


def _checked(broker: Broker, sleep: Callable[[float], None]) -> Sequence[str]:
    patience = Patience(broker.settings.patience, _LOG.warning, time.monotonic, sleep)
    while True:
        try:
            return broker.check()
        except BrokerAway as error:
            patience.wait(error)


def _facts(settings: FleetSettings, queues: Sequence[QueueName]) -> dict[str, Any]:
    return {
        "role": "worker",
        "version": settings.version,
        "product": __version__,
        "queues": [queue.value for queue in queues],
        "processes": settings.jobs,
    }


def _run_celery(
    settings: FleetSettings,
    queues: Sequence[QueueName],
    child: _Child,
    liveness: Path | None,
    upkeep: _Upkeep,
) -> None:
    app = celery_app(settings, tuple(queues))
    app.task(child.run, name=TASK, acks_late=True, ignore_result=True)
    app.conf.worker_consumer = PulsingConsumer
    app.conf.worker_concurrency = settings.jobs
    use_liveness(app, liveness)
    _use_our_log()
    # Messages are JSON, so that root is no risk here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    ending = _Ending(settings, child.drain)
    worker = _Worker(
        ending,
        app=app,
        hostname=f"squashproxy@{child.name}",
        pool="prefork",
        concurrency=settings.jobs,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        optimization="fair",
    )
    # Python warnings about Celery's own plans, which the worker has just switched on.
    warnings.filterwarnings("ignore", module=r"(celery|kombu)\.")
    upkeep.hearing = Hearing(app, settings.jobs, settings.lease, time.monotonic)
    signals.worker_ready.connect(upkeep.hearing.begin, weak=False)
    signals.task_received.connect(upkeep.hearing.heard, weak=False)
    signals.worker_process_init.connect(child.begin, weak=False)
    signals.worker_process_shutdown.connect(child.end, weak=False)
    signals.worker_ready.connect(
        lambda **_: _LOG.info(
            "worker %s takes %s jobs of version %s, %d at once",
            *(child.name, " and ".join(queue.value for queue in queues)),
            *(settings.version, settings.jobs),
        ),
        weak=False,
    )
    worker.start()
    ending.over()
    if worker.exitcode:
        raise FleetError("the worker ended by itself", advice="its log says why; start it again")


def _use_our_log() -> None:
    """Celery's log lines go where ours go, from warnings on."""
    signals.setup_logging.connect(_keep_logging, weak=False)
    ours = logging.getLogger("squashproxy")
    for name in ("celery", "kombu"):
        logger = logging.getLogger(name)
        logger.handlers = list(ours.handlers)
        logger.propagate = False
        logger.setLevel(max(logging.WARNING, ours.getEffectiveLevel()))


def _keep_logging(**_: Any) -> None:
    """Tell Celery that logging is set up."""


class _Child:
    """A process that runs jobs: its handlers and connections, opened with its first job."""

    def __init__(
        self,
        settings: FleetSettings,
        name: str,
        server: str,
        drain: Drain,
        open_handlers: OpenHandlers,
    ) -> None:
        self._settings = settings
        self.name = name
        self._server = server
        self.drain = drain
        self._open_handlers = open_handlers
        self._stack = ExitStack()
        self._handlers: Handlers | None = None
        self._run: JobRun | None = None

    def begin(self, **_: Any) -> None:
        """Make this process ready, after the fork."""
        broker = Broker(self._settings)
        messenger = Messenger(self._settings)
        self._run = JobRun(
            self._settings,
            Records(broker),
            messenger.send,
            self.name,
            self.drain,
            server=self._server,
        )

    def run(self, job: str) -> None:
        """Run the job that a message named."""
        assert self._run is not None, "begin comes first"
        self._run.run(job, self._opened)

    def end(self, **_: Any) -> None:
        """Close the handlers."""
        self._stack.close()

    def _opened(self) -> Handlers:
        if self._handlers is None:
            fleet = self._stack.enter_context(Fleet(self._settings))
            self._handlers = self._stack.enter_context(self._open_handlers(fleet))
        return self._handlers


class _Upkeep:
    """Queues jobs whose workers are gone, in turn with the other workers, and sees that this one
    hears its queues.
    """

    def __init__(
        self, settings: FleetSettings, broker: Broker, name: str, queues: Sequence[QueueName]
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._records = Records(broker)
        self._messenger = Messenger(settings)
        self._name = name
        self._list = message_list(settings)
        self._lists = [queue_list(settings, queue) for queue in queues]
        self.hearing: Hearing | None = None

    def turn(self) -> None:
        """Do both; the first if nobody else did so lately."""
        pause = min(self._settings.lease / 2, beat_of(self._settings) * 2)
        try:
            for message in self._records.reap(self._name, self._list, pause):
                self._messenger.send(message)
            if self.hearing is not None:
                counts = self._broker.ask_all([("LLEN", name) for name in self._lists])
                self.hearing.check(sum(map(int, counts)))
        except BrokerAway as error:
            _LOG.debug("%s", error)
        except FleetError as error:
            _LOG.warning("%s", error)

    def close(self) -> None:
        """Close the connections."""
        self._messenger.close()


class _Worker(Worker):  # type: ignore[misc]  # Celery is not typed
    """Celery's worker, with our answer to signals."""

    def __init__(self, ending: _Ending, **options: Any) -> None:
        self._ending = ending
        ending.worker = self
        super().__init__(**options)

    def install_platform_tweaks(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Set the handlers of signals."""
        signal.signal(signal.SIGTERM, self._ending.begin)
        signal.signal(signal.SIGINT, self._ending.begin)


class _Ending:
    """Ends a worker after SIGTERM: jobs may finish for a while, then they are handed back."""

    def __init__(self, settings: FleetSettings, drain: Drain) -> None:
        self._seconds = settings.drain
        self._drain = drain
        self._over = threading.Event()
        self._hurry = threading.Event()
        self.worker: Any = None

    def begin(self, *_: object) -> None:
        """Let no new job begin; the second time, hand back at once. This is a signal handler."""
        state.should_stop = EX_OK
        if self._drain.stage is not Stage.RUNS:
            self._hurry.set()
            return
        self._drain.enter(Stage.STOPS)
        threading.Thread(target=self._watch, name="fleet-ending", daemon=True).start()

    def over(self) -> None:
        """The worker has ended."""
        self._over.set()
        self._hurry.set()

    def _watch(self) -> None:
        _LOG.info("ends; running jobs may go on for %g s", self._seconds)
        self._hurry.wait(self._seconds)
        if self._over.is_set():
            return
        _LOG.info("hands back the jobs that still run")
        self._drain.enter(Stage.HANDS_BACK)
        if self._over.wait(_MERCY):
            return
        _LOG.warning("killing processes whose jobs did not end")
        for process in self.worker.pool._pool._pool:  # noqa: SLF001 - Celery has no other way
            os.kill(process.pid, signal.SIGKILL)
        if not self._over.wait(_MERCY):
            os._exit(1)
