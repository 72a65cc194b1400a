"""Listening sockets that stay calm when no more files can be open."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Any

from aiohttp import web

_BACKLOG = 1024
_AT_ONCE = 16
"""Connections that asyncio accepts in a row before it does anything else with them."""

_TLS_SECONDS = 10.0
_OWN_FILES = 64
"""Files for the store, threads and upstreams that are open whatever clients do."""

_FILES_PER_CONNECTION = 3
"""A client's socket, the file that it is sent, and a connection to upstream for it."""

_QUIET_SECONDS = 60.0
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_LOG = logging.getLogger("squashproxy.server")

Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class ListeningSite(web.BaseSite):
    """A bound socket with a long queue, of which few connections are accepted at once."""

    def __init__(
        self, runner: web.ServerRunner, bound: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(runner, ssl_context=context)
        self._bound = bound

    @property
    def name(self) -> str:
        """The address, for aiohttp."""
        return str(self._bound.getsockname())

    async def start(self) -> None:
        """Listen."""
        await super().start()
        server = self._runner.server
        assert server is not None, "the runner was set up"
        self._server = await asyncio.get_running_loop().create_server(
            server,
            sock=self._bound,
            ssl=self._ssl_context,
            backlog=_AT_ONCE,
            ssl_handshake_timeout=None if self._ssl_context is None else _TLS_SECONDS,
        )
        self._bound.listen(_BACKLOG)  # asyncio has one number for the queue and for one round


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that are bound to all addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            bound.append(_bind_one(family, address))
    except BaseException:
        for each in bound:
            each.close()
        raise
    return bound


def most_connections(wanted: int) -> int:
    """As many connections of `wanted` as there can be files for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    possible = max(1, (files - _OWN_FILES) // _FILES_PER_CONNECTION)
    if possible < wanted:
        _LOG.warning(
            "limits.connections is %d, but only %d files may be open here, so it is %d; "
            "raise that limit (ulimit -n)",
            wanted,
            files,
            possible,
        )
    return min(wanted, possible)


def raise_file_limit() -> None:
    """Let this process open as many files as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class QuietLoop:
    """The exception handler of the loop: tells once a minute that no more files can be open."""

    def __init__(self, before: Handler | None) -> None:
        self._before = before
        self._told = -_QUIET_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what no task takes."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _NO_FILES:
            if loop.time() - self._told >= _QUIET_SECONDS:
                self._told = loop.time()
                _LOG.warning("no more files can be open, so new connections wait; raise ulimit -n")
        elif self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


def _bind_one(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setblocking(False)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
