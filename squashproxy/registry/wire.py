"""Requests on connections, without meaning: no cookies, no netrc, no redirects, no retries."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from squashproxy.registry.failures import NETWORK_ERRORS, broken_off, failure_of
from squashproxy.registry.hosts import is_loopback
from squashproxy.registry.options import ClientOptions
from squashproxy.registry.pace import Pace
from squashproxy.registry.trust import Trust

CHUNK = 256 << 10
"""Bytes that are read from a connection at a time."""

_IDLE_CONNECTIONS = 32

AnswerListener = Callable[[str, int, Mapping[str, str]], None]
"""Hears of an answer: the host as people know it, the status and the headers; from any thread."""


class Body(Protocol):
    """What a request carries; pieces of at most 256 KiB, so that time-outs are per piece.

    `replayable` says whether iterating again gives the same bytes. A body with a length is sent
    with Content-Length, any other in chunked transfer encoding.
    """

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent twice."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """The error of the source of the bytes: it is not one of the connection."""
        ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One request; `timeout` in seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    timeout: float = 30.0


class Wire:
    """Sends messages; usable from several threads.

    It stands on the adapter of `requests` alone, without a Session: the adapter's connection pools
    are made for threads, and what a Session would add (cookies, netrc, redirects that keep
    credentials) is what registries must not get.
    """

    def __init__(
        self,
        options: ClientOptions,
        trust: Trust,
        pace: Pace,
        listener: AnswerListener | None = None,
    ) -> None:
        self._options = options
        self._listener = listener
        self._pace = pace
        self._adapter = _Adapter(trust)
        self._proxies: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        if options.insecure:
            warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)

    def send(self, message: Message, host: str) -> requests.Response:
        """Send a message and return the answer, its body unread; `host` is for people.

        Raises Unreachable, TlsError, or the error of the body's source.
        """
        self._pace.wait(host)
        prepared = requests.Request(
            message.method,
            message.url,
            headers={
                "User-Agent": self._options.user_agent,
                "Accept-Encoding": "identity",
                **message.headers,
            },
            data=cast("Any", message.body),
        )
        try:
            response = self._adapter.send(
                prepared.prepare(),
                stream=True,
                timeout=(min(message.timeout, self._options.timeout), message.timeout),
                proxies=self._proxies_for(message.url),
            )
        except NETWORK_ERRORS as error:
            if isinstance(message.body, bytes) or message.body is None:
                raise failure_of(error, message.url, host) from error
            if message.body.failure is not None:
                raise message.body.failure from None
            raise failure_of(error, message.url, host) from error
        if self._listener is not None:
            self._listener(host, response.status_code, response.headers)
        return response

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()

    def _proxies_for(self, url: str) -> dict[str, str]:
        """The proxies of the environment; none on loopback, as in docker."""
        parts = urlsplit(url)
        key = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if key not in self._proxies:
                loopback = is_loopback(parts.hostname or "")
                self._proxies[key] = {} if loopback else get_environ_proxies(key)
            return self._proxies[key]


class _Adapter(HTTPAdapter):
    """The adapter of requests, with a TLS context per host."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        super().__init__(pool_connections=_IDLE_CONNECTIONS, pool_maxsize=_IDLE_CONNECTIONS)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Let the context decide about certificates."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, pool
        netloc = urlsplit(str(request.url)).netloc
        return host, {"ssl_context": self._trust.context_for(netloc)}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context holds the authorities already."""


def iter_body(response: requests.Response, host: str, what: str) -> Iterator[bytes]:
    """The body's bytes as they were sent, never decoded; closes the response.

    Raises Unreachable where the connection breaks before the end.
    """
    with closing(response):
        while True:
            try:
                data = response.raw.read(CHUNK, decode_content=False)
            except NETWORK_ERRORS as error:
                raise broken_off(error, host, what) from error
            if not data:
                return
            yield data


def read_body(response: requests.Response, limit: int, host: str, what: str) -> bytes:
    """The body, read to its end so that the connection can be used again.

    A body above `limit` bytes is cut to one byte more than that.
    """
    pieces = []
    size = 0
    stream = iter_body(response, host, what)
    with closing(cast("Any", stream)):
        for piece in stream:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                break
    return b"".join(pieces)[: limit + 1]
