"""Posting to a webhook within a time limit, however slowly it answers.

The time-outs of `requests` apply to each piece that arrives, so a server that sends a byte a second
never exceeds them. So the call runs in a thread. When the time is over nobody waits for the thread,
and its connections are shut down, which ends it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from squashproxy.errors import SquashproxyError

_TICK = 0.25


class NotPosted(SquashproxyError):
    """The webhook gave no answer, or none in time."""


def post(
    address: str,
    document: Any,
    headers: Mapping[str, str],
    timeout: float,
    tick: Callable[[], None],
) -> int:
    """Post a JSON document, and return the status of the answer, within `timeout` seconds.

    The answer's body is not read, and redirects are not followed. Proxies and certificates are
    those of the environment. `tick` is called a few times a second and may raise. Raises NotPosted,
    whose text never holds the address, since that may hold a token.
    """
    call = _Call(address, document, headers, timeout)
    thread = threading.Thread(target=call.run, name="squashproxy-webhook", daemon=True)
    thread.start()
    deadline = time.monotonic() + timeout
    try:
        while not call.done.wait(min(_TICK, max(0.0, deadline - time.monotonic()))):
            tick()
            if time.monotonic() >= deadline:
                raise _late(timeout)
    finally:
        call.connections.shut()
    if isinstance(call.failure, requests.Timeout):
        raise _late(timeout) from call.failure
    if call.failure is not None:
        raise NotPosted(
            f"the webhook could not be reached: {type(call.failure).__name__}"
        ) from call.failure
    return call.status


def _late(timeout: float) -> NotPosted:
    return NotPosted(f"the webhook did not answer within {timeout:g} s")


class _Call:
    """One request; `done` is set when `status` or `failure` is."""

    def __init__(
        self, address: str, document: Any, headers: Mapping[str, str], timeout: float
    ) -> None:
        self.connections = _Connections()
        self.done = threading.Event()
        self.status = 0
        self.failure: Exception | None = None
        self._address = address
        self._document = document
        self._headers = headers
        self._timeout = timeout

    def run(self) -> None:
        try:
            with requests.Session() as session:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, _Adapter(self.connections))
                with session.post(
                    self._address,
                    json=self._document,
                    headers=dict(self._headers),
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    self.status = answer.status_code
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            self.failure = error
        finally:
            self.done.set()


class _Connections:
    """The connections of one call, so that another thread can shut them down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_shut = False

    def add(self, connection: socket.socket) -> None:
        """Note a connection. TLS takes over the socket's descriptor, so a duplicate is kept."""
        with self._lock:
            self._open.append(connection.dup())
        if self._is_shut:
            self.shut()

    def shut(self) -> None:
        """Shut down all connections, present and future."""
        with self._lock:
            self._is_shut = True
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open.clear()


class _Adapter(HTTPAdapter):
    """Connections of which `connections` hears before a byte was sent, TLS and proxy included."""

    def __init__(self, connections: _Connections) -> None:
        self._pools = _pools_with(connections)
        super().__init__()

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **settings: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **settings)
        if type(manager) is ProxyManager:  # one of SOCKS has pools of its own
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pools_with(connections: _Connections) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            connections.add(connection)
            return connection

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            connections.add(connection)
            return connection

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
