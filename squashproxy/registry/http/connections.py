"""Requests on connections, without meaning: no cookies, no netrc, no redirects, no retries."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol, TypeAlias, cast

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, make_headers
from urllib3.exceptions import InsecureRequestWarning

from squashproxy.registry.http.heads import POOLS
from squashproxy.registry.http.network_errors import NETWORK_ERRORS, body_error, request_error
from squashproxy.registry.http.proxies import Proxy, find_proxy
from squashproxy.registry.http.rate_limit import RateLimit
from squashproxy.registry.http.tls import TlsContexts
from squashproxy.registry.options import ClientOptions

CHUNK = 256 << 10
"""Bytes that are read from a connection at a time."""

_IDLE_CONNECTIONS = 32
_MOST_ORIGINS = 256
_NO_RETRIES = Retry(False)

Response: TypeAlias = BaseHTTPResponse
"""An answer, its body unread."""

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


class Connections:
    """Sends messages; usable from several threads.

    It stands on urllib3's connection pools alone, one for each origin: what a session of `requests`
    would add (cookies, netrc, redirects that keep credentials) is what registries must not get.
    """

    def __init__(
        self,
        options: ClientOptions,
        tls: TlsContexts,
        rate_limit: RateLimit,
        listener: AnswerListener | None = None,
    ) -> None:
        self._options = options
        self._listener = listener
        self._rate_limit = rate_limit
        self._tls = tls
        self._pools: dict[str, PoolManager] = {}
        self._lock = threading.Lock()
        self._headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
        if options.insecure:
            warnings.filterwarnings("ignore", category=InsecureRequestWarning)

    def send(self, message: Message, host: str) -> Response:
        """Send a message and return the answer, with its whole URL; `host` is for people.

        Raises Unreachable, TlsError, or the error of the body's source.
        """
        self._rate_limit.wait(host)
        body = message.body
        headers = {**self._headers, **message.headers}
        if isinstance(body, Sized):
            headers["Content-Length"] = str(len(body))
        connect = min(message.timeout, self._options.timeout)
        try:
            response = self._pool(message.url).urlopen(
                message.method,
                message.url,
                body=cast("Any", body),
                headers=headers,
                timeout=Timeout(connect=connect, read=message.timeout),
                retries=_NO_RETRIES,
                redirect=False,
                preload_content=False,
            )
        except NETWORK_ERRORS as error:
            if body is None or isinstance(body, bytes) or body.failure is None:
                raise request_error(error, message.url, host) from error
            raise body.failure from None
        response.url = message.url
        if self._listener is not None:
            self._listener(host, response.status, response.headers)
        return response

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()

    def _pool(self, url: str) -> PoolManager:
        scheme, _, rest = url.partition("://")
        netloc = rest.partition("/")[0].partition("?")[0]
        key = f"{scheme}://{netloc}"
        with self._lock:
            if key not in self._pools:
                self._make_room()
                self._pools[key] = self._open_pool(key, scheme, netloc)
            return self._pools[key]

    def _make_room(self) -> None:
        """Forget the oldest origin, as redirects may name ever more; its requests go on."""
        if len(self._pools) >= _MOST_ORIGINS:
            self._pools.pop(next(iter(self._pools))).clear()

    def _open_pool(self, origin: str, scheme: str, netloc: str) -> PoolManager:
        """Connections to an origin, through the proxy of the environment if there is one."""
        settings: dict[str, Any] = {"num_pools": 1, "maxsize": _IDLE_CONNECTIONS}
        if scheme == "https":
            settings["ssl_context"] = self._tls.context_for(netloc)
        proxy = find_proxy(origin)
        manager = PoolManager(**settings) if proxy is None else _through(proxy, settings)
        manager.pool_classes_by_scheme = POOLS
        return manager


def _through(proxy: Proxy, settings: dict[str, Any]) -> ProxyManager:
    headers = make_headers(proxy_basic_auth=proxy.login) if proxy.login else None
    return ProxyManager(proxy.url, proxy_headers=headers, **settings)


def iter_body(response: Response, host: str, what: str) -> Iterator[bytes]:
    """The body's bytes as they were sent, never decoded; closes the response.

    Raises Unreachable where the connection breaks before the end.
    """
    with closing(response):
        while True:
            try:
                data = response.read(CHUNK, decode_content=False)
            except NETWORK_ERRORS as error:
                raise body_error(error, host, what) from error
            if not data:
                return
            yield data


def read_body(response: Response, limit: int, host: str, what: str) -> bytes:
    """The body, read to its end so that the connection can be used again.

    A body above `limit` bytes is cut to one byte more than that.
    """
    body = BytesIO()  # gives up its buffer without a copy, as joined pieces would be one
    stream = iter_body(response, host, what)
    with closing(cast("Any", stream)):
        for piece in stream:
            body.write(piece[: limit + 1 - body.tell()])
            if body.tell() > limit:
                break
    return body.getvalue()
