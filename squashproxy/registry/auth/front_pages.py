"""The front page of a registry, `/v2/`, which may be all that has a challenge."""

from __future__ import annotations

import threading

from squashproxy.errors import RegistryError
from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.auth.schemes import Scheme, choose_scheme
from squashproxy.registry.http.connections import Connections, Message, read_body
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.registry.http.error_responses import MAX_ERROR_BODY

_WHAT = "its front page"


class FrontPages:
    """Asks each registry once, unless its answer is forgotten; usable from several threads.

    `timeout` is in seconds.
    """

    def __init__(self, connections: Connections, timeout: float) -> None:
        self._connections = connections
        self._timeout = timeout
        self._lock = threading.Lock()
        self._schemes: dict[str, Scheme | None] = {}

    def ask(self, endpoint: Endpoint) -> Scheme | None:
        """The scheme that a registry asks for; None if it is open, or gives no answer."""
        with self._lock:
            if endpoint.name not in self._schemes:
                self._schemes[endpoint.name] = self._ask(endpoint)
            return self._schemes[endpoint.name]

    def forget(self, endpoint: Endpoint, scheme: Scheme) -> None:
        """Ask a registry again next time, if its answer was this scheme."""
        with self._lock:
            if self._schemes.get(endpoint.name) == scheme:
                del self._schemes[endpoint.name]

    def _ask(self, endpoint: Endpoint) -> Scheme | None:
        message = Message("GET", endpoint.url("/v2/"), timeout=self._timeout)
        try:
            response = self._connections.send(message, endpoint.name)
            read_body(response, MAX_ERROR_BODY, endpoint.name, _WHAT)
        except RegistryError:
            return None
        if response.status != 401:
            return None
        return choose_scheme(parse_challenges(response.headers.get("WWW-Authenticate", "")))
