"""Connections to registries: one message out, one response back.

No cookies, no netrc, no redirects, no retries, and no knowledge of what a request means.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import closing
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Protocol, TypeAlias, cast

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, make_headers
from urllib3.exceptions import InsecureRequestWarning

from squashproxy.errors import RegistryError
from squashproxy.lru import LruCache
from squashproxy.registry.http.content_coding import codings_of, iter_decoded
from squashproxy.registry.http.cut_json import is_cut_json
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.registry.http.heads import Terms, pools_under
from squashproxy.registry.http.network_errors import (
    NETWORK_ERRORS,
    body_error,
    cut_error,
    request_error,
)
from squashproxy.registry.http.open_connections import CANCEL_SECONDS, OpenConnections
from squashproxy.registry.http.proxies import Proxy, find_proxy
from squashproxy.registry.http.public_addresses import PrivateAddress, public_pools_under
from squashproxy.registry.http.rate_limit import Pacer
from squashproxy.registry.http.tls import TlsContexts
from squashproxy.registry.options import ClientOptions
from squashproxy.streams import CHUNK

_IDLE_CONNECTIONS = 32
_MOST_ORIGINS = 256
_BODYLESS = (204, 304)
_NO_RETRIES = Retry(False)

Response: TypeAlias = BaseHTTPResponse
"""A response whose body has not been read."""

AnswerListener = Callable[[str, int, Mapping[str, str]], None]
"""Called for each response with the host's name, the status and the headers; in any thread."""


class Body(Protocol):
    """A request's body, in pieces of at most 256 KiB: each piece has the whole time-out.

    A body with a length is sent with Content-Length, any other in chunked transfer encoding.
    """

    @property
    def replayable(self) -> bool:
        """Whether iterating again gives the same bytes."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """The error of the bytes' source, if that failed and not the connection."""
        ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One request; `timeout` in seconds, for connecting and for each read and write.

    One that `ends_session` cancels an upload session, and is sent even after `stop`.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    timeout: float = 30.0
    ends_session: bool = False


class Connections:
    """Sends messages; usable from several threads.

    Uses one urllib3 pool per origin, and a second one for origins that have to be public. A session
    of `requests` would add cookies, netrc and redirects that keep credentials, none of which
    registries must get.
    """

    def __init__(
        self,
        options: ClientOptions,
        tls: TlsContexts,
        pacer: Pacer,
        listener: AnswerListener | None = None,
        opened: OpenConnections | None = None,
    ) -> None:
        self._options = options
        self._opened = opened or OpenConnections()
        self._answered: LruCache[str, bool] = LruCache(_MOST_ORIGINS)
        self._listener = listener
        self._pacer = pacer
        self._tls = tls
        self._pools: dict[str, PoolManager] = {}
        self._public_pools: dict[str, PoolManager] = {}
        self._lock = threading.Lock()
        self._headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
        if options.insecure:
            warnings.filterwarnings("ignore", category=InsecureRequestWarning)

    def send(self, message: Message, host: str) -> Response:
        """Send a message and return the response; `host` names the server in error messages.

        Raises Unreachable, TlsError, Cancelled after `stop`, or the error of the body's source.
        """
        return self._send(message, host, public_only=False)

    def follow(self, message: Message, endpoint: Endpoint, host: str) -> Response:
        """Send a message to a URL that the registry at `endpoint` named; see `send`.

        Another origin is connected to only at public addresses, unless the registry itself is in a
        private network. Behind a proxy of the environment, that is the proxy's decision, since only
        it resolves names. Raises Denied, too; then nothing was sent.
        """
        if endpoint.serves(message.url):
            return self.send(message, host)
        try:
            return self._send(message, host, public_only=True)
        except PrivateAddress:
            if not endpoint.is_private():
                raise
        return self.send(message, host)

    def _send(self, message: Message, host: str, *, public_only: bool) -> Response:
        message = self._admitted(message, host)
        body = message.body
        headers = {**self._headers, **message.headers}
        if isinstance(body, Sized):
            headers["Content-Length"] = str(len(body))
        connect = min(message.timeout, self._options.timeout)
        origin = _origin(message.url)
        try:
            response = self._pool(origin, public_only=public_only).urlopen(
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
            if body is not None and not isinstance(body, bytes) and body.failure is not None:
                raise body.failure from None
            if not message.ends_session:
                self._opened.check()
            with self._lock:
                is_known = self._answered.get(origin, False)
            raise request_error(error, message.url, host, is_known=is_known) from error
        response.url = message.url
        with self._lock:
            self._answered[origin] = True
        if self._listener is not None:
            self._listener(host, response.status, response.headers)
        return response

    def _admitted(self, message: Message, host: str) -> Message:
        """The message when it may be sent. Raises Cancelled after `stop`."""
        if message.ends_session and self._opened.is_stopped:
            return replace(message, timeout=min(message.timeout, CANCEL_SECONDS))
        self._opened.check()
        self._pacer.wait(host)
        return message

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            for pool in (*self._pools.values(), *self._public_pools.values()):
                pool.clear()

    def _pool(self, origin: str, *, public_only: bool = False) -> PoolManager:
        pools = self._public_pools if public_only else self._pools
        with self._lock:
            if origin not in pools:
                _make_room(pools)
                pools[origin] = self._open_pool(origin, public_only=public_only)
            return pools[origin]

    def _open_pool(self, origin: str, *, public_only: bool) -> PoolManager:
        """A pool for an origin, through the proxy of the environment if there is one."""
        scheme, _, netloc = origin.partition("://")
        settings: dict[str, Any] = {"num_pools": 1, "maxsize": _IDLE_CONNECTIONS}
        if scheme == "https":
            settings["ssl_context"] = self._tls.context_for(netloc)
        least = self._options.least_speeds.get(netloc, self._options.least_speed)
        proxy = find_proxy(origin)
        manager = PoolManager(**settings) if proxy is None else _through(proxy, settings)
        terms = Terms(self._opened, least)
        checks = public_only and proxy is None
        pools = public_pools_under(terms) if checks else pools_under(terms)
        manager.pool_classes_by_scheme = cast("Any", pools)
        return manager


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"


def _make_room(pools: dict[str, PoolManager]) -> None:
    """Drop the oldest pool: redirects may name any number of origins. Its requests go on."""
    if len(pools) >= _MOST_ORIGINS:
        pools.pop(next(iter(pools))).clear()


def _through(proxy: Proxy, settings: dict[str, Any]) -> ProxyManager:
    headers = make_headers(proxy_basic_auth=proxy.login) if proxy.login else None
    return ProxyManager(proxy.url, proxy_headers=headers, **settings)


def iter_body(response: Response, host: str, what: str) -> Iterator[bytes]:
    """The body's bytes as sent, never decoded; closes the response at the end.

    `host` and `what` name server and content in error messages. Raises Unreachable if the
    connection breaks before the end.
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


def read_body(
    response: Response, limit: int, host: str, what: str, *, may_break: bool = False
) -> bytes:
    """The body, read to its end so that the connection can be used again.

    Content-Encoding is undone. Of a body above `limit` bytes, `limit` + 1 bytes are returned and
    the connection is closed. One that `may_break` is returned as far as it came. Raises Unreachable
    for any other that was cut short.
    """
    body = BytesIO()  # gives up its buffer without a copy, as joined pieces would be one
    stream = iter_body(response, host, what)
    codings = codings_of(response.headers)
    with closing(response), closing(cast("Any", stream)):
        try:
            for piece in iter_decoded(stream, codings, host, what) if codings else stream:
                body.write(piece[: limit + 1 - body.tell()])
                if body.tell() > limit:
                    break
        except RegistryError:
            if not may_break:
                raise
    data = body.getvalue()
    if may_break:
        return data
    if len(data) <= limit and has_no_end(response) and _says_json(response) and is_cut_json(data):
        raise cut_error(host, what)
    return data


def has_no_end(response: Response) -> bool:
    """Whether only a closed connection ends the body, so that a broken one looks like its end."""
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return not chunked and "Content-Length" not in response.headers


def _says_json(response: Response) -> bool:
    return response.status not in _BODYLESS and "json" in response.headers.get("Content-Type", "")
