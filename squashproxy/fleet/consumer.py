"""The part of Celery that listens to the queues, with a sign of life.

Workers were seen that went deaf after the broker had come back, although their process lived
(celery#8030, #8091). So the sign is given from the very loop that takes messages, and a worker
that sees messages waiting which it does not take connects anew.
"""

from __future__ import annotations

import logging
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

    def touch(self) -> None:
        """Touch it; a folder that is full is only worth a line."""
        if self._path is None:
            return
        try:
            self._path.touch()
        except OSError as error:
            _LOG.warning("%s cannot be touched: %s", self._path, reason_of(error))


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
