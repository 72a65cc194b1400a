"""The HTTP server: counts connections, tracks requests, and gives errors the API's form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from squashproxy.server.http.errors import ApiError, unavailable
from squashproxy.server.http.places import Places
from squashproxy.server.http.request_log import facts_of

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_LOG = logging.getLogger("squashproxy.server")
_NO_REQUEST = "this is no request in plain HTTP; clients that try TLS first come again without"
_CODES = {413: "SIZE_INVALID", 431: "UNSUPPORTED", 500: "UNKNOWN"}


class HttpServer(web.Server):
    """Passes requests to `handler`, on at most `max_connections` connections; see places.

    Above the limit, everything but `health` paths is answered with 503.
    """

    def __init__(
        self, handler: Handler, max_connections: int, health: Container[str] = (), **options: Any
    ) -> None:
        self.places = Places(max_connections)
        self._health = health
        self._inner = handler
        self._requests: set[asyncio.Task[Any]] = set()
        super().__init__(self._tracked, **options)

    def __call__(self) -> _Connection:
        """The protocol of a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self.places)

    def abort(self) -> None:
        """Cut the connections that are still open, as TLS clients may not close their side."""
        self.places.close()
        for connection in self.places.connections:
            connection.cut()

    async def end_requests(self, seconds: float) -> None:
        """Cancel the requests that are still answered, and wait at most `seconds` for them.

        aiohttp itself forgets a request whose client has left, though its handler runs on.
        """
        running = self.cancel_requests()
        if running:
            await asyncio.wait(running, timeout=seconds)

    def cancel_requests(self) -> list[asyncio.Task[Any]]:
        """Cancel the requests that are still answered; their tasks."""
        running = list(self._requests)
        for task in running:
            task.cancel()
        return running

    async def _tracked(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None, "aiohttp answers each request in a task"
        connection = request.protocol
        assert isinstance(connection, _Connection), "this server makes no others"
        self._requests.add(task)
        self.places.begin(connection)
        try:
            return await self._answer(request, connection)
        finally:
            self._requests.discard(task)
            self.places.end(connection)

    async def _answer(
        self, request: web.BaseRequest, connection: _Connection
    ) -> web.StreamResponse:
        if not self.places.is_reserved(connection):
            return await self._inner(request)
        if request.raw_path.partition("?")[0] in self._health:
            response = await self._inner(request)
        else:
            response = error_response(unavailable("too many connections are open; try again soon"))
        response.force_close()
        return response


class _Connection(RequestHandler):
    """One connection; also unparsable requests are answered in the API's form."""

    __slots__ = ("_wire",)

    _wire: asyncio.BaseTransport
    """The transport, which aiohttp forgets before it is closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it a place."""
        super().connection_made(transport)
        self._wire = transport
        server = self._manager
        if isinstance(server, HttpServer):
            server.places.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free its place."""
        server = self._manager
        super().connection_lost(exc)
        if isinstance(server, HttpServer):
            server.places.leave(self)

    @property
    def wire(self) -> asyncio.BaseTransport:
        """The transport, also after aiohttp has forgotten it."""
        return self._wire

    def cut(self) -> None:
        """Close the connection at once."""
        if isinstance(self._wire, asyncio.Transport):
            self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may quote what was sent
    ) -> web.StreamResponse:
        """The answer to an unparsable request, or to one that met a bug."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun already")
        if status >= 500 and not isinstance(exc, ConnectionError):
            _LOG.error("a request could not be answered: %s", exc, exc_info=exc)
        text = "this request could not be answered" if status >= 500 else _NO_REQUEST
        facts_of(request).error = text
        response = error_response(ApiError(status, _CODES.get(status, "UNSUPPORTED"), text))
        response.force_close()
        return response


def error_response(error: ApiError) -> web.Response:
    """The response of an API error."""
    headers = {"Content-Type": "application/json", **error.headers}
    return web.Response(status=error.status, body=error.body, headers=headers)
