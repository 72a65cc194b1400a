"""Who is asking, per host and repository: remembers challenges, fetches and keeps tokens."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

from squashproxy.errors import FormatError, RegistryError, Unauthorized
from squashproxy.registry.auth.authfile import Credentials
from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.auth.credentials import CredentialStore, variable_for
from squashproxy.registry.auth.schemes import (
    Proof,
    Scheme,
    Token,
    TokenRequest,
    basic_header,
    choose_scheme,
    read_token,
    token_requests,
)
from squashproxy.registry.auth.scopes import Scopes, parse_scopes
from squashproxy.registry.http.connections import Message, Wire, read_body
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.registry.http.error_responses import (
    Action,
    Refusal,
    fault_of,
    read_refusal,
    unauthorized,
)
from squashproxy.registry.http.retry import Retry
from squashproxy.registry.http.urls import shown

_MAX_TOKEN_BODY = 1 << 20
_NOT_OFFERED = (404, 405)
_BEARER = "Bearer "


@dataclass(slots=True)
class _Known:
    """What is known about one repository; the lock makes threads share one token request."""

    scheme: Scheme | None = None
    tokens: list[Token] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


class Authorizer:
    """Finds the Authorization for requests; usable from several threads."""

    def __init__(
        self,
        wire: Wire,
        credentials: CredentialStore,
        retry: Retry,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._wire = wire
        self._credentials = credentials
        self._retry = retry
        self._timeout = timeout
        self._clock = clock
        self._known: defaultdict[tuple[str, str], _Known] = defaultdict(_Known)
        self._schemes: dict[str, Scheme] = {}
        self._lock = threading.Lock()

    def header(self, endpoint: Endpoint, action: Action, scopes: Scopes) -> str | None:
        """What to send unasked: None until the registry has told what it wants.

        Renews a token that is about to end.
        """
        known = self._known_for(action)
        with known.lock:
            scheme = known.scheme or self._schemes.get(endpoint.name)
            credentials = None if scheme is None else self._credentials.find(action.repository)
            if scheme is None:
                return None
            if scheme.proof is Proof.BASIC:
                return None if credentials is None else _basic(credentials)
            try:
                return self._bearer(endpoint, action, scheme, scopes, credentials)
            except RegistryError as error:
                refused = known.scheme is not None and isinstance(error, Unauthorized)
                if refused or error.temporary:
                    raise
                known.scheme = None  # it was wrong, or another repository's; the registry says anew
                return None

    def password(self, action: Action) -> str | None:
        """The credentials themselves, None without any."""
        credentials = self._credentials.find(action.repository)
        return None if credentials is None else _basic(credentials)

    def answer(
        self,
        endpoint: Endpoint,
        action: Action,
        scopes: Scopes,
        refusal: Refusal,
        used: str | None,
        *,
        again: bool,
    ) -> str:
        """What to send after a 401 to a request that carried `used`.

        `again` says that `used` was itself such an answer. Raises Unauthorized where nothing is
        left to try.
        """
        known = self._known_for(action)
        credentials = self._credentials.find(action.repository)
        hopeless = self.hopeless(refusal, action)
        with known.lock:
            scheme = self._learn(known, refusal, used)
            if scheme is None:
                raise hopeless
            if scheme.proof is Proof.BASIC:
                header = None if credentials is None else _basic(credentials)
            else:
                wider = scopes | parse_scopes(scheme.scopes) if used else scopes
                if again and wider == scopes:
                    raise hopeless
                known.tokens = [token for token in known.tokens if _BEARER + token.value != used]
                header = self._bearer(endpoint, action, scheme, wider, credentials)
        if header is None or header == used:
            raise hopeless
        # Only what led to a proof is tried for other repositories: one of them may be hostile.
        self._schemes[endpoint.name] = scheme
        return header

    def hopeless(self, refusal: Refusal, action: Action) -> Unauthorized:
        """The error for a 401 that no proof helps against."""
        credentials = self._credentials.find(action.repository)
        known = None
        if credentials is not None:
            user = f"{credentials.username!r} from " if credentials.username else ""
            known = f"{user}{credentials.origin}"
        return unauthorized(refusal, action, known, variable_for(action.host))

    def _known_for(self, action: Action) -> _Known:
        with self._lock:
            return self._known[action.host, action.repository.path]

    @staticmethod
    def _learn(known: _Known, refusal: Refusal, used: str | None) -> Scheme | None:
        """The scheme to use: some registries challenge with Basic when a token has gone stale."""
        offered = choose_scheme(parse_challenges(refusal.headers.get("www-authenticate", "")))
        if offered is None:
            return known.scheme
        stale = used is not None and used.startswith(_BEARER)
        if offered.proof is Proof.BASIC and known.scheme is not None and stale:
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
            raise self.hopeless(refusal, _for_token(action, realm))
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
        response = self._wire.send(message, host)
        answer = read_body(response, _MAX_TOKEN_BODY, host, "its answer")
        status = response.status
        if status == 429 or status >= 500:
            refusal = read_refusal(status, response.headers, answer)
            raise fault_of(refusal, _for_token(action, request.url))
        return status, dict(response.headers), answer

    def _read(self, body: bytes, scopes: Scopes, realm: str) -> Token:
        try:
            return read_token(body, scopes, self._clock(), shown(realm))
        except FormatError as error:
            raise RegistryError(
                f"{error}", advice="it, or the registry's realm, is set up wrong"
            ) from error


def _basic(credentials: Credentials) -> str | None:
    if not credentials.password and not credentials.identity_token:
        return None
    return basic_header(credentials)


def _for_token(action: Action, realm: str) -> Action:
    text = f"a token from {shown(realm)} for {action.text}"
    return Action(action.repository, text)
