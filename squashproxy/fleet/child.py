"""The processes of a worker that run its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.drain import Drain
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.handlers import Handlers, OpenHandlers
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.job_run import JobRun
from squashproxy.fleet.messages import Messenger
from squashproxy.fleet.records import Records
from squashproxy.fleet.settings import FleetSettings


class Child:
    """A process that runs jobs: its handlers and connections, opened with its first job."""

    def __init__(
        self,
        settings: FleetSettings,
        name: str,
        drain: Drain,
        open_handlers: OpenHandlers,
        *,
        queues: Sequence[QueueName],
        server: str,
    ) -> None:
        self._settings = settings
        self.name = name
        self._queues = queues
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
            queues=self._queues,
            server=self._server,
        )

    def run(self, job: str) -> None:
        """Run the job that a message named, and then those that wait."""
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
