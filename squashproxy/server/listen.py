"""Running the server: listeners, signals, and a stop that lets requests finish."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO

from aiohttp import web

from squashproxy.config.configuration import Configuration
from squashproxy.config.serve import Listener, TlsSettings
from squashproxy.errors import UsageError, advice_of, reason_of
from squashproxy.registry.options import ClientOptions
from squashproxy.server.api.control import HEALTH_PATHS
from squashproxy.server.assembly import Application
from squashproxy.server.http.access_log import AccessLogger, LogThread
from squashproxy.server.http.server import HttpServer
from squashproxy.server.http.sockets import ListeningSite, QuietLoop, bind, most_connections
from squashproxy.server.jobs.fleet_work import ServeFleet
from squashproxy.state.runs import RunHistory

_LOG = logging.getLogger("squashproxy.server")
_KEEP_ALIVE = 75.0
_LINGERING = 2.0
"""Seconds for the rest of a body that nobody reads."""
_GOODBYE_SECONDS = 1.0
_CANCEL_SECONDS = 1.0
_AIOHTTP_SECONDS = 5.0
"""The seconds that aiohttp waits longer than `serve.drain`. We cancel requests ourselves at the end
of `drain`: aiohttp does not wait for cancelled handlers, and misses those whose client has left."""

ReadyListener = Callable[[list[str]], None]


async def serve(
    configuration: Configuration,
    common: ClientOptions,
    environ: Mapping[str, str],
    *,
    access_log: IO[str] | None,
    on_ready: ReadyListener,
    until: Callable[[], Awaitable[object]],
    runs: RunHistory | None = None,
    fleet: ServeFleet | None = None,
) -> None:
    """Serve until `until` returns, then let requests end for `serve.drain` seconds.

    `on_ready` is called with the addresses, including the ports that the system chose. `runs` is
    shown on the page and as metrics. With a `fleet`, workers squash; it is joined here, and closed
    by the caller. Raises UsageError if an address cannot be listened on, and the errors of
    Application.
    """
    application = Application(configuration, common, environ, runs, fleet)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(QuietLoop(loop.get_exception_handler()))
    try:
        if access_log is None:
            await _run(application, until, None, on_ready)
        else:
            with LogThread(access_log) as log:
                await _run(application, until, log.logger, on_ready)
    finally:
        await application.stop()


async def _run(
    application: Application,
    until: Callable[[], Awaitable[object]],
    access_log: logging.Logger | None,
    on_ready: ReadyListener,
) -> None:
    settings = application.settings
    context = None if settings.tls is None else _context(settings.tls)
    runners: list[web.ServerRunner] = []
    servers: list[HttpServer] = []
    try:
        addresses = [
            await _listen(application, listener, context, access_log, (runners, servers))
            for listener in settings.listen
        ]
        application.start()
        on_ready(addresses)
        await until()
        application.is_draining = True
        _LOG.info("stopping: no more connections, %g s for requests to end", settings.drain)
    finally:
        try:
            await _end_requests(runners, servers, settings.drain)
        finally:  # also if the stop itself is cancelled
            await _close_connections(servers)


async def _listen(
    application: Application,
    listener: Listener,
    context: ssl.SSLContext | None,
    access_log: logging.Logger | None,
    begun: tuple[list[web.ServerRunner], list[HttpServer]],
) -> str:
    server = HttpServer(
        application.handler(listener.upstream),
        most_connections(application.settings.limits.connections),
        HEALTH_PATHS,
        access_log=access_log,
        access_log_class=AccessLogger,
        keepalive_timeout=_KEEP_ALIVE,
        lingering_time=_LINGERING,
        auto_decompress=False,
    )
    runner = web.ServerRunner(
        server, shutdown_timeout=application.settings.drain + _AIOHTTP_SECONDS
    )
    await runner.setup()
    runners, servers = begun
    runners.append(runner)
    servers.append(server)
    try:
        for bound in bind(listener.host.strip("[]"), listener.port):
            await ListeningSite(runner, bound, context).start()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {listener.host}:{listener.port}: {reason_of(error)}",
            advice=advice_of(error, "is another server there?"),
        ) from error
    port = runner.addresses[0][1]
    return f"{listener.host}:{port}"


async def _end_requests(
    runners: list[web.ServerRunner], servers: list[HttpServer], drain: float
) -> None:
    """Listen no more, and let requests end for `drain` seconds; then cancel them."""
    cancelling = [
        asyncio.get_running_loop().call_later(drain, server.cancel_requests) for server in servers
    ]
    try:
        await asyncio.gather(*(runner.cleanup() for runner in runners))
    finally:
        for handle in cancelling:
            handle.cancel()
        for server in servers:
            await server.end_requests(_CANCEL_SECONDS)


async def _close_connections(servers: list[HttpServer]) -> None:
    """Give connections the moment that TLS needs to say goodbye; then cut them.

    They are cut at once if that moment is cancelled.
    """
    deadline = asyncio.get_running_loop().time() + _GOODBYE_SECONDS
    try:
        while any(server.open_connections for server in servers):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.01)
    finally:
        for server in servers:
            server.abort()
        await asyncio.sleep(0)


async def signalled() -> None:
    """Return at the first SIGTERM or SIGINT; a second one ends the process at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    try:
        await event.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _context(tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, tls.certificate, tls.key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise UsageError(f"{certificate} and {key} are no pair of certificate and key") from error
    except OSError as error:
        raise UsageError(f"{certificate} or {key} cannot be read: {reason_of(error)}") from error
