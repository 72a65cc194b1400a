"""FaultProxy: a proxy in front of a real registry, which fails when it is told to."""

from __future__ import annotations

import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from squashproxy.testing.answers import Answer, Body, bytes_answer
from squashproxy.testing.body import Request
from squashproxy.testing.faulty_server import FaultyServer
from squashproxy.testing.options import Tls

_TIMEOUT_SECONDS = 60.0
_OF_ONE_CONNECTION = ("connection", "expect", "keep-alive", "proxy-connection", "te", "upgrade")
"""Request headers that are not for the registry (RFC 9110, section 7.6.1)."""

_WRITTEN_ANEW = (
    "connection",
    "content-length",
    "docker-distribution-api-version",
    "keep-alive",
    "transfer-encoding",
)
"""Headers of an answer that the connection to the client has of its own."""


class FaultProxy(FaultyServer):
    """A proxy on loopback in front of any registry, with the faults of a FakeRegistry.

    `upstream` is the registry's `SCHEME://HOST:PORT`; `context` says which certificates are trusted
    there, and with `tls` the proxy speaks TLS, too. A Location that names the registry names the
    proxy instead; a client that is sent elsewhere meets no faults there. Each answer is held in
    memory before it is sent.
    """

    def __init__(
        self, upstream: str, *, context: ssl.SSLContext | None = None, tls: Tls | None = None
    ) -> None:
        super().__init__(0, tls)
        self._server.start(_Forwarder(upstream, self.url, context))


class _Forwarder:
    """Has a registry answer each request, over a connection of its own."""

    empty_type: str | None = None

    def __init__(self, upstream: str, url: str, context: ssl.SSLContext | None) -> None:
        self._upstream = urlsplit(upstream)
        self._urls = (upstream, url)
        self._context = context

    def answer(self, request: Request) -> Answer:
        """The registry's answer. Raises ConnectionAbortedError if either end breaks off."""
        with closing(self._connect()) as connection:
            try:
                _send(connection, request)
                return self._answer_of(connection.getresponse(), request.method)
            except (OSError, HTTPException) as error:
                raise ConnectionAbortedError(f"the request broke off: {error}") from error

    def _connect(self) -> HTTPConnection:
        if self._upstream.scheme == "https":
            return HTTPSConnection(
                self._upstream.netloc, timeout=_TIMEOUT_SECONDS, context=self._context
            )
        return HTTPConnection(self._upstream.netloc, timeout=_TIMEOUT_SECONDS)

    def _answer_of(self, response: HTTPResponse, method: str) -> Answer:
        headers = tuple(
            (name, value.replace(*self._urls, 1) if name.lower() == "location" else value)
            for name, value in response.getheaders()
            if name.lower() not in _WRITTEN_ANEW
        )
        if method == "HEAD":
            size = int(response.headers["Content-Length"] or 0)
            return Answer(response.status, headers, Body(size, ()))
        return bytes_answer(response.status, response.read(), headers)


def _send(connection: HTTPConnection, request: Request) -> None:
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        if name not in _OF_ONE_CONNECTION:
            connection.putheader(name, value)
    connection.endheaders()
    chunked = "transfer-encoding" in request.headers
    for piece in request.body:
        data = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        if not _is_sent(connection, data):
            return
    if chunked:
        _is_sent(connection, b"0\r\n\r\n")


def _is_sent(connection: HTTPConnection, data: bytes) -> bool:
    """Whether the registry took the data; if not, it may have answered already."""
    try:
        connection.send(data)
    except ConnectionError:
        return False
    return True
