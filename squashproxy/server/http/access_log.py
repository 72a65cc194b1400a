"""The access log: a JSON object a line, written by a thread, since a full pipe blocks."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
from datetime import UTC, datetime
from typing import IO, Self

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from squashproxy.server.http.request_log import facts_of

_MOST_LINES = 10_000


class AccessLogger(AbstractAccessLogger):
    """Writes what a request was and what became of it; never a password or a token."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """One request; `time` is in seconds."""
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
            "error": facts.error or None,
            "agent": request.headers.get("User-Agent"),
        }
        self.logger.info("%s", json.dumps(line))


class LogThread:
    """A logger whose lines another thread writes to `stream`; what does not fit is dropped."""

    def __init__(self, stream: IO[str]) -> None:
        self.logger = logging.getLogger("squashproxy.access")
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_LINES)
        self.logger.handlers[:] = [_Dropping(lines)]
        self.logger.setLevel(logging.INFO)
        self.logger.propagate = False
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._listener = logging.handlers.QueueListener(lines, handler)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()


class _Dropping(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return
