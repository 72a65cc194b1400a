"""The Authorization header of each request: challenges are remembered, tokens fetched and kept."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

from squashproxy.errors import FormatError, RegistryError, Unauthorized
from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.auth.credentials import CredentialStore, variable_for
from squashproxy.registry.auth.login import Credentials
from squashproxy.registry.auth.schemes import (
    Scheme,
    SchemeKind,
    Token,
    TokenRequest,
    basic_header,
    choose_scheme,
    read_token,
    token_requests,
)
from squashproxy.registry.auth.scopes import Scopes, parse_scopes
from squashproxy.registry.http.connections import Connections, Message, read_body
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.registry.http.error_responses import (
    Action,
    Refusal,
    read_refusal,
    refusal_error,
    unauthorized_error,
)
from squashproxy.registry.http.retry import Retry
from squashproxy.registry.http.urls import shown

_MAX_TOKEN_BODY = 1 << 20
_NOT_OFFERED = (404, 405)
_BEARER = "Bearer "


@dataclass(slots=True)
class _Known:
    """The scheme and tokens of one repository; under the lock, threads share a token request."""

    scheme: Scheme | None = None
    tokens: list[Token] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


class Authorizer:
    """Finds the Authorization header for requests; usable from several threads.

    `timeout` and the times of `clock` are in seconds.
    """

    def __init__(
        self,
        connections: Connections,
        credentials: CredentialStore,
        retry: Retry,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._connections = connections
        self._credentials = credentials
        self._retry = retry
        self._timeout = timeout
        self._clock = clock
        self._known: defaultdict[tuple[str, str], _Known] = defaultdict(_Known)
        self._schemes: dict[str, Scheme] = {}
        self._lock = threading.Lock()

    def header(self, endpoint: Endpoint, action: Action, scopes: Scopes) -> str | None:
        """The header to send up front; None until the registry has sent a challenge.

        A token that is about to expire is renewed. Raises RegistryError where that fails.
        """
        known = self._known_for(action)
        with known.lock:
            scheme = known.scheme or self._schemes.get(endpoint.name)
            credentials = None if scheme is None else self._credentials.find(action.repository)
            if scheme is None:
                return None
            if scheme.kind is SchemeKind.BASIC:
                return None if credentials is None else _basic(credentials)
            try:
                return self._bearer(endpoint, action, scheme, scopes, credentials)
            except RegistryError as error:
                refused = known.scheme is not None and isinstance(error, Unauthorized)
                if refused or error.temporary:
                    raise
                known.scheme = None  # wrong, or another repository's: the next challenge tells
                return None

    def basic_header(self, action: Action) -> str | None:
        """The header with user and password, None without credentials."""
        credentials = self._credentials.find(action.repository)
        return None if credentials is None else _basic(credentials)

    def answer_challenge(
        self,
        endpoint: Endpoint,
        action: Action,
        scopes: Scopes,
        refusal: Refusal,
        used: str | None,
        *,
        again: bool,
    ) -> str:
        """The header to send after a 401 to a request that carried the header `used`.

        `again` says that `used` was itself the answer to a challenge. Raises Unauthorized when
        nothing is left to try.
        """
        known = self._known_for(action)
        credentials = self._credentials.find(action.repository)
        unauthorized = self.unauthorized(refusal, action)
        with known.lock:
            scheme = self._learn(known, refusal, used)
            if scheme is None:
                raise unauthorized
            if scheme.kind is SchemeKind.BASIC:
                header = None if credentials is None else _basic(credentials)
            else:
                wider = scopes | parse_scopes(scheme.scopes) if used else scopes
                if again and wider == scopes:
                    raise unauthorized
                known.tokens = [token for token in known.tokens if _BEARER + token.value != used]
                header = self._bearer(endpoint, action, scheme, wider, credentials)
        if header is None or header == used:
            raise unauthorized
        # Other repositories start with this scheme only after it has worked: one may be hostile.
        self._schemes[endpoint.name] = scheme
        return header

    def unauthorized(self, refusal: Refusal, action: Action) -> Unauthorized:
        """The error for a 401 that no credentials at hand can answer."""
        credentials = self._credentials.find(action.repository)
        known = None
        if credentials is not None:
            user = f"{credentials.username!r} from " if credentials.username else ""
            known = f"{user}{credentials.origin}"
        return unauthorized_error(refusal, action, known, variable_for(action.host))

    def _known_for(self, action: Action) -> _Known:
        with self._lock:
            return self._known[action.host, action.repository.path]

    @staticmethod
    def _learn(known: _Known, refusal: Refusal, used: str | None) -> Scheme | None:
        """The scheme to use; a Basic challenge to a stale token does not replace Bearer.

        Some registries send one when a token has expired.
        """
        offered = choose_scheme(parse_challenges(refusal.headers.get("www-authenticate", "")))
        if offered is None:
            return known.scheme
        stale = used is not None and used.startswith(_BEARER)
        if offered.kind is SchemeKind.BASIC and known.scheme is not None and stale:
            return known.scheme
        known.scheme = offered
        return offered

    def _bearer(
        self,
        endpoint: Endpoint,
        action: Action,
        scheme: Scheme,
        scopes: Scopes,
        credentials: Credentials | None,
    ) -> str:
        if credentials is not None and credentials.registry_token:
            return _BEARER + credentials.registry_token
        known = self._known_for(action)
        now = self._clock()
        known.tokens = [token for token in known.tokens if token.is_fresh(now)]
        for token in known.tokens:
            if token.scopes >= scopes:
                return _BEARER + token.value
        realm = endpoint.resolve(endpoint.url("/v2/"), scheme.realm, "WWW-Authenticate")
        token = self._fetch(action, realm, scheme.service, scopes, credentials)
        known.tokens.append(token)
        return _BEARER + token.value

    def _fetch(
        self,
        action: Action,
        realm: str,
        service: str,
        scopes: Scopes,
        credentials: Credentials | None,
    ) -> Token:
        requests = token_requests(realm, service, scopes, credentials)
        for number, request in enumerate(requests, 1):
            status, headers, body = self._retry.call(
                partial(self._ask, request, action), action.host
            )
            if status == 200:
                return self._read(body, scopes, realm)
            if status in _NOT_OFFERED and number < len(requests):
                continue
            refusal = read_refusal(status, headers, body)
            raise self.unauthorized(refusal, _for_token(action, realm))
        raise AssertionError("there is at least one request")

    def _ask(self, request: TokenRequest, action: Action) -> tuple[int, dict[str, str], bytes]:
        headers = dict(request.headers)
        body = None
        if request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(request.form).encode()
        message = Message(
            "GET" if body is None else "POST", request.url, headers, body, self._timeout
        )
        host = f"the token service of {action.host}"
        response = self._connections.send(message, host)
        answer = read_body(response, _MAX_TOKEN_BODY, host, "its answer")
        status = response.status
        if status == 429 or status >= 500:
            refusal = read_refusal(status, response.headers, answer)
            raise refusal_error(refusal, _for_token(action, request.url))
        return status, dict(response.headers), answer

    def _read(self, body: bytes, scopes: Scopes, realm: str) -> Token:
        try:
            return read_token(body, scopes, self._clock(), shown(realm))
        except FormatError as error:
            raise RegistryError(f"{error}; it, or the registry's realm, is set up wrong") from error


def _basic(credentials: Credentials) -> str | None:
    if not credentials.password and not credentials.identity_token:
        return None
    return basic_header(credentials)


def _for_token(action: Action, realm: str) -> Action:
    text = f"a token from {shown(realm)} for {action.text}"
    return Action(action.repository, text)
