"""The access log: one JSON object per request, one per line.

A thread of its own writes it, because writing blocks while nobody reads the other end of a pipe.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, Self

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from squashproxy.server.http.request_log import facts_of

_MOST_LINES = 10_000
_MOST_TEXT = 1000
"""Characters of an error, which may quote what a client sent."""


class AccessLogger(AbstractAccessLogger):
    """Logs each request and its outcome; never a password or a token."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log one request, which took `time` seconds."""
        facts = facts_of(request)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": request.remote,
            "user": facts.user or None,
            "method": request.method,
            "path": request.raw_path,
            "status": response.status,
            "bytes": facts.body,
            "seconds": round(time, 4),
            "source": facts.outcome or None,
            "error": facts.error[:_MOST_TEXT] or None,
            "agent": request.headers.get("User-Agent"),
        }
        self.logger.info("%s", json.dumps(line))


class LogThread:
    """A logger whose lines a thread writes to `stream`, within a `with` block.

    Lines are dropped while 10,000 wait. At the end of the block, writing the waiting lines may take
    about `patience` seconds, so that a pipe that nobody reads cannot hold up the server.
    """

    def __init__(self, stream: IO[str], *, patience: float = 5.0) -> None:
        self.logger = logging.getLogger("squashproxy.access")
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(_MOST_LINES)
        self._patience = patience
        self._stream = stream
        self._thread = threading.Thread(target=self._write, name="squashproxy-log", daemon=True)

    def __enter__(self) -> Self:
        self.logger.handlers[:] = [_Dropping(self._lines)]
        self.logger.setLevel(logging.INFO)
        self.logger.propagate = False
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.logger.handlers.clear()
        try:
            self._lines.put(None, timeout=self._patience)
        except queue.Full:  # nobody reads: what waits is dropped, so that the thread can end
            with suppress(queue.Empty):
                while True:
                    self._lines.get_nowait()
            self._lines.put_nowait(None)
        self._thread.join(self._patience)

    def _write(self) -> None:
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(logging.Formatter("%(message)s"))
        while (record := self._lines.get()) is not None:
            handler.handle(record)
        handler.close()


class _Dropping(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)
