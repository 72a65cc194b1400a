"""The part of Celery that listens to the queues, with a sign of life.

Workers were seen that went deaf after the broker had come back, although their process lived
(celery#8030, #8091). So the sign is given from the very loop that takes messages, and a worker
that sees messages waiting which it does not take connects anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer

from squashproxy.errors import reason_of

_LOG = logging.getLogger("squashproxy.fleet")
_TOUCH = 5.0
_LONGEST_PAUSE = 3.0


class PulsingConsumer(Consumer):  # type: ignore[misc]  # Celery is not typed
    """Celery's consumer, which also gives its sign of life while it tries to reach the broker."""

    def ensure_connected(self, connection: Any) -> Any:
        """Connect, however long that takes."""
        self._is_away = False
        connection.ensure_connection(
            self._say_away,
            None,
            interval_start=0.25,
            interval_step=0.5,
            interval_max=_LONGEST_PAUSE,
            callback=state.maybe_shutdown,
        )
        if self._is_away:
            _LOG.warning("the broker is there again")
        self.first_connection_attempt = False
        return connection

    def _say_away(self, error: Exception, interval: float) -> None:  # noqa: ARG002 - kombu's signature
        self.app.liveness.touch()
        if not self._is_away:
            self._is_away = True
            _LOG.warning(
                "the broker cannot be reached: %s; trying on", " ".join(str(error).split())
            )


class Liveness:
    """A file that is touched as long as the worker listens; none for None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.is_deaf = False
        """Whether the worker does not take messages that it should; then nothing is touched."""

    def touch(self) -> None:
        """Touch it; a folder that is full is only worth a line."""
        if self._path is None or self.is_deaf:
            return
        try:
            self._path.touch()
        except OSError as error:
            _LOG.warning("%s cannot be touched: %s", self._path, reason_of(error))


class Hearing:
    """Notices that messages wait which the worker does not take, although it has nothing to do.

    After `patience` seconds of that the worker connects anew; after as many again it is deaf.
    """

    def __init__(
        self, app: Any, processes: int, patience: float, clock: Callable[[], float]
    ) -> None:
        self._app = app
        self._processes = processes
        self._patience = patience
        self._clock = clock
        self._consumer: Any = None
        self._since: float | None = None
        self._is_connecting = False

    def begin(self, sender: Any = None, **_: object) -> None:
        """The consumer is ready; a receiver of Celery's signal."""
        self._consumer = sender

    def heard(self, **_: object) -> None:
        """A message came; a receiver of Celery's signal."""
        self._since = None
        self._is_connecting = False
        self._app.liveness.is_deaf = False

    def check(self, waiting: int) -> None:
        """See whether all is well, when so many messages wait in the worker's queues."""
        is_busy = len(state.reserved_requests) >= self._processes
        if not waiting or is_busy or self._consumer is None:
            self.heard()
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since < self._patience:
            return
        self._since = now
        if self._is_connecting:
            self._app.liveness.is_deaf = True
        _LOG.warning("%d messages wait that this worker does not hear; it connects anew", waiting)
        self._is_connecting = True
        self._consumer.call_soon(_connect_anew)


def _connect_anew() -> None:
    """End the consumer's loop as a broken connection does."""
    raise ConnectionResetError("messages are not heard")


class _Pulse(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery is not typed
    """Touches the file from the consumer's own loop."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._entry: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        """Begin with a connection."""
        consumer.app.liveness.touch()
        self._entry = consumer.timer.call_repeatedly(_TOUCH, consumer.app.liveness.touch)

    def stop(self, consumer: Any) -> None:  # noqa: ARG002 - Celery's signature
        """End with the connection."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None


def use_liveness(app: Any, path: Path | None) -> None:
    """Have the consumer of `app` touch a file."""
    app.liveness = Liveness(path)
    app.steps["consumer"].add(_Pulse)
