"""A worker: takes jobs from the queues, and runs them in processes of its own.

The parent listens to the queues (consumer.py) and forks the children, each of which runs one job
at a time. It also queues jobs again whose workers are gone, in turn with the other workers.
"""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from celery import signals
from celery.apps.worker import Worker
from celery.platforms import SecurityWarning

from squashproxy import __version__
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.child import Child
from squashproxy.fleet.consumer import Hearing, PulsingConsumer, use_liveness
from squashproxy.fleet.drain import Drain
from squashproxy.fleet.ending import Ending
from squashproxy.fleet.errors import FleetError
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.handlers import OpenHandlers
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.members import Member
from squashproxy.fleet.messages import TASK, celery_app
from squashproxy.fleet.patience import Patience
from squashproxy.fleet.settings import FleetSettings, process_name
from squashproxy.fleet.upkeep import Upkeep

_LOG = logging.getLogger("squashproxy.fleet")


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
    upkeep = Upkeep(settings, broker, name, queues)
    member = Member(broker, name, _facts(settings, queues), upkeep.turn)
    try:
        member.start()
        child = Child(settings, name, drain, open_handlers, queues=queues, server=server)
        _run_celery(settings, queues, child, liveness, upkeep)
    finally:
        member.leave()
        upkeep.close()
        broker.close()


def _checked(broker: Broker, sleep: Callable[[float], None]) -> Sequence[str]:
    patience = Patience(broker.settings.patience, _LOG.warning, time.monotonic, sleep)
    return patience.ask(broker.check)


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
    child: Child,
    liveness: Path | None,
    upkeep: Upkeep,
) -> None:
    app = celery_app(settings, tuple(queues))
    app.task(child.run, name=TASK, acks_late=True, ignore_result=True)
    app.conf.worker_consumer = PulsingConsumer
    app.conf.worker_concurrency = settings.jobs
    use_liveness(app, liveness)
    _use_our_log()
    # Messages are JSON, so that root is no risk here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    ending = Ending(settings, child.drain)
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


class _Worker(Worker):  # type: ignore[misc]  # Celery is not typed
    """Celery's worker, with our answer to signals."""

    def __init__(self, ending: Ending, **options: Any) -> None:
        self._ending = ending
        ending.worker = self
        super().__init__(**options)

    def install_platform_tweaks(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Set the handlers of signals."""
        signal.signal(signal.SIGTERM, self._ending.begin)
        signal.signal(signal.SIGINT, self._ending.begin)
