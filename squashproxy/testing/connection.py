"""The HTTP/1.1 server of a fake registry or a proxy: requests, answers, and faults acted out."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from squashproxy.testing.answers import Answer
from squashproxy.testing.body import Request, RequestBody
from squashproxy.testing.faults import ArmedFault, FaultKind, Faults
from squashproxy.testing.journal import Exchange, Journal
from squashproxy.testing.options import Tls

Act = Callable[[str, str], object]
"""Called with the method of a request, and its path with the query."""

_SMALL = 64 << 10
_JOIN_SECONDS = 10.0
_BODYLESS = (204, 304)
_RESETS = struct.pack("ii", 1, 0)
"""Linger for no time at all: closing sends RST in place of FIN."""

_FRAMING = ("content-length", "transfer-encoding")
"""Only a fault sets these headers. They may contradict the body, so the connection is closed."""


class Answering(Protocol):
    """What answers requests. `empty_type` is the Content-Type of answers without a body."""

    empty_type: str | None

    def answer(self, request: Request) -> Answer:
        """Carry out a request. Raises ConnectionError for the connection to be closed."""
        ...


class Connection(BaseHTTPRequestHandler):
    """One connection of a client, which may send any number of requests."""

    protocol_version = "HTTP/1.1"
    server_version = "squashproxy-testing"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Server

    def handle_one_request(self) -> None:
        """Read a request, answer it, and leave the connection ready for the next."""
        self.close_connection = True
        try:
            self.raw_requestline = self.rfile.readline(_SMALL)
            if self.raw_requestline and self.parse_request():
                self._exchange()
        except OSError:
            # The client went away or does not trust the certificate, or a fault cut the connection.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Print nothing: the journal records every request."""

    def _exchange(self) -> None:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            before = headers.get(name.lower())
            headers[name.lower()] = value if before is None else f"{before}, {value}"
        fault = self.server.faults.take(self.command, self.path)
        body = RequestBody(self.rfile, headers, fault.break_after if fault else None)
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        request = Request(self.command, self.path, unquote(parts.path), query, headers, body)
        if fault is not None and fault.raw is not None:
            self._send_raw(request, fault)
            return
        try:
            answer = self._answer(request, fault)
        except ConnectionError:
            self._record(request, None)
            raise
        self._record(request, answer)
        if fault is not None and fault.sever_after is not None:
            self._sever(answer, fault)
        else:
            self._send(answer)

    def _answer(self, request: Request, fault: ArmedFault | None) -> Answer:
        for act in self.server.acts:
            act(request.method, self.path)
        answer = fault.before() if fault else None
        if answer is None:
            answer = self.server.handlers.answer(request)
        request.body.drain()
        return fault.after(answer) if fault else answer

    def _record(self, request: Request, answer: Answer | None) -> None:
        status, sent = None, 0
        if answer is not None:
            status = answer.status
            sent = 0 if request.method == "HEAD" else answer.body.size
        exchange = Exchange(
            request.method, self.path, status, request.headers, request.body.received, sent
        )
        self.server.journal.write(exchange)

    def _send_raw(self, request: Request, fault: ArmedFault) -> None:
        request.body.drain()
        fault.before()
        self._record(request, None)
        self.wfile.write(fault.raw or b"")
        self.close_connection = True

    def _sever(self, answer: Answer, fault: ArmedFault) -> None:
        fault.reached.set()
        whole, self.wfile = self.wfile, BytesIO()
        try:
            self._send(answer)
            sent = self.wfile.getvalue()
            fault.answer = sent
        finally:
            self.wfile = whole
        self.wfile.write(sent[: fault.sever_after])
        if fault.fault.kind is FaultKind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
        self.close_connection = True

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in answer.headers:
            self.send_header(name, value)
        if any(name.lower() in _FRAMING for name, _ in answer.headers):
            self.close_connection = True
        elif answer.status not in _BODYLESS:
            self.send_header("Content-Length", str(answer.body.size))
        empty = self.server.handlers.empty_type
        if empty is not None and not answer.body.size and self.command != "HEAD":
            self.send_header("Content-Type", empty)
        self.end_headers()
        if self.command != "HEAD" and answer.status not in _BODYLESS:
            self._send_body(answer.body.chunks)

    def _send_body(self, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                self.wfile.write(chunk)
        except OSError:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """Accepts connections, gives each its own thread, and closes them all in the end."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], tls: Tls | None, journal: Journal, faults: Faults
    ) -> None:
        self._context = _tls_context(tls.certificate, tls.key) if tls else None
        super().__init__(address, Connection)
        self.journal = journal
        self.faults = faults
        self.acts: tuple[Act, ...] = ()
        self.handlers: Answering
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._loop = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def start(self, handlers: Answering) -> None:
        """Begin to accept connections."""
        self.handlers = handlers
        self._loop.start()

    def stop(self) -> None:
        """Close the listening socket and every connection, and wait for their threads."""
        self.shutdown()
        self._loop.join(_JOIN_SECONDS)
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            _hang_up(connection)
        self.faults.release()
        for thread in connections.values():
            thread.join(_JOIN_SECONDS)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its own thread does the TLS handshake."""
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a connection, and remember both."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._lock:
            self._connections[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        with self._lock:
            self._connections.pop(request, None)
        if _is_reset(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - overrides
        """Raise the error of a handler again, so that a bug in this package does not go unseen."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            raise error


def _tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _is_reset(connection: socket.socket) -> bool:
    """Whether a fault is to reset a connection: a goodbye before that would be a clean end."""
    try:
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == _RESETS
    except OSError:
        return False


def _hang_up(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        # Its own thread or the client has closed it already.
        return
