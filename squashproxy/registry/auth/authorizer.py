"""The Authorization header of each request: challenges are remembered, tokens fetched and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from squashproxy.errors import FormatError, RegistryError, Unauthorized
from squashproxy.lru import LruCache
from squashproxy.registry.auth.challenges import parse_challenges
from squashproxy.registry.auth.credentials import CredentialStore, variable_for
from squashproxy.registry.auth.delete_scope import Actions, DeleteActions, may_delete, spelled
from squashproxy.registry.auth.front_pages import FrontPages
from squashproxy.registry.auth.login import Credentials
from squashproxy.registry.auth.schemes import (
    Scheme,
    SchemeKind,
    Token,
    basic_header,
    choose_scheme,
    read_token,
    token_requests,
)
from squashproxy.registry.auth.scopes import Scopes, parse_scopes
from squashproxy.registry.auth.token_service import TokenAnswer, TokenService, for_token
from squashproxy.registry.http.connections import Connections
from squashproxy.registry.http.endpoints import Endpoint
from squashproxy.registry.http.error_responses import (
    Action,
    Refusal,
    read_refusal,
    unauthorized_error,
)
from squashproxy.registry.http.retry import Retry
from squashproxy.registry.http.urls import shown
from squashproxy.registry.http.web_pages import PAGE_ADVICE, is_page, page_fact

_UNKNOWN_ACTION = (400, 403, 422)
"""The status codes of token services that do not know an action; 401, too, of those that gave a
token before.
"""

_BEARER = "Bearer "

_MOST_REPOSITORIES = 1024
"""Repositories whose tokens are kept: anybody may ask a server for any number of names. One that
was forgotten costs a token more."""


@dataclass(slots=True)
class _Known:
    """The scheme and tokens of one repository; under the lock, threads share a token request.

    `asked` is what the last token asked for in place of `delete`, `spent` what did not suffice.
    """

    scheme: Scheme | None = None
    tokens: list[Token] = field(default_factory=list)
    asked: Actions = frozenset()
    spent: frozenset[Actions] = frozenset()
    lock: threading.RLock = field(default_factory=threading.RLock)


class Authorizer:
    """Finds the Authorization header for requests; usable from several threads.

    `timeout` and the times of `clock` are in seconds.
    """

    def __init__(
        self,
        connections: Connections,
        credentials: CredentialStore,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._token_service = TokenService(connections, timeout)
        self._front_pages = FrontPages(connections, timeout)
        self._credentials = credentials
        self._clock = clock
        self._known: LruCache[tuple[str, str], _Known] = LruCache(_MOST_REPOSITORIES)
        self._schemes: dict[str, Scheme] = {}
        self._delete_actions = DeleteActions()
        self._let_in: set[str] = set()
        self._lock = threading.Lock()

    def header(
        self, endpoint: Endpoint, action: Action, scopes: Scopes, retry: Retry | None = None
    ) -> str | None:
        """The header to send up front; None until the registry has sent a challenge.

        A token that is about to expire is renewed, with `retry` as often as that says. Raises
        RegistryError where that fails.
        """
        known = self._known_for(action)
        with known.lock:
            scheme = known.scheme or self._schemes.get(endpoint.name)
            credentials = None if scheme is None else self._credentials.find(action.repository)
            if scheme is None:
                return None
            if scheme.kind is SchemeKind.BASIC:
                return None if credentials is None else _basic(credentials)
            bearer = partial(
                self._bearer, endpoint, action, scheme, scopes, credentials, challenged=False
            )
            try:
                return bearer() if retry is None else retry.call(bearer, action.host)
            except RegistryError as error:
                refused = known.scheme is not None and isinstance(error, Unauthorized)
                # Wrong, another repository's, or for other scopes: the next challenge tells.
                self._drop(known, endpoint, scheme)
                if error.temporary or (refused and not may_delete(scopes)):
                    raise
                return None

    def hidden_header(
        self, endpoint: Endpoint, action: Action, scopes: Scopes, *, expected: bool
    ) -> str | None:
        """The header for a registry that hides content from those who are not logged in.

        Such a registry answers 404 or 403 in place of a challenge, which only `/v2/` gives. It is
        asked once, and only if there are credentials to send or the answer would be an error (not
        `expected`). None if it has no challenge, or no token is to be had.
        """
        if expected and self._credentials.find(action.repository) is None:
            return None
        scheme = self._front_pages.ask(endpoint)
        if scheme is not None:
            self._schemes.setdefault(endpoint.name, scheme)
        try:
            return self.header(endpoint, action, scopes)
        except Unauthorized:
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
                if again and not self._asks_for_more(known, endpoint, scheme, scopes, wider):
                    raise unauthorized
                known.tokens = [token for token in known.tokens if _BEARER + token.value != used]
                try:
                    header = self._bearer(
                        endpoint, action, scheme, wider, credentials, challenged=True
                    )
                except RegistryError as error:
                    if isinstance(error, Unauthorized):
                        known.spent = frozenset()
                    # The realm may lead nowhere, and the next challenge be right.
                    self._drop(known, endpoint, scheme)
                    raise
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
        failure = self._credentials.helper_failure(action.host)
        return unauthorized_error(refusal, action, known, variable_for(action.host), failure)

    def _known_for(self, action: Action) -> _Known:
        key = (action.host, action.repository.path)
        with self._lock:
            return self._known.find_or_make(key, _Known)

    def _drop(self, known: _Known, endpoint: Endpoint, scheme: Scheme) -> None:
        """Forget a scheme that failed, wherever it is remembered; the registry is asked anew."""
        known.scheme = None
        if self._schemes.get(endpoint.name) == scheme:
            self._schemes.pop(endpoint.name, None)
        self._front_pages.forget(endpoint, scheme)

    def _asks_for_more(
        self, known: _Known, endpoint: Endpoint, scheme: Scheme, scopes: Scopes, wider: Scopes
    ) -> bool:
        """Whether another token may do, after one was refused: for more, or by another action."""
        if may_delete(scopes):
            known.spent |= {known.asked}
            if self._delete_actions.candidates(endpoint.name, scopes, scheme.scopes, known.spent):
                return True
            known.spent = frozenset()
            return False
        return wider != scopes

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
        *,
        challenged: bool,
    ) -> str:
        """The header with a token; `challenged` says that the scheme is from this very request."""
        if credentials is not None and credentials.registry_token:
            return _BEARER + credentials.registry_token
        known = self._known_for(action)
        now = self._clock()
        known.tokens = [token for token in known.tokens if token.is_fresh(now)]
        for token in known.tokens:
            if token.scopes >= scopes:
                return _BEARER + token.value
        challenge = scheme.scopes if challenged else None
        candidates = partial(self._delete_actions.candidates, endpoint.name, scopes, challenge)
        actions = candidates(known.spent) or candidates(frozenset())
        token = self._fetch(endpoint, action, scheme, scopes, actions)
        known.tokens.append(token)
        return _BEARER + token.value

    def _fetch(
        self,
        endpoint: Endpoint,
        action: Action,
        scheme: Scheme,
        scopes: Scopes,
        candidates: list[Actions],
    ) -> Token:
        """A token for the scopes, with the first of `candidates` that is granted for `delete`."""
        known = self._known_for(action)
        credentials = self._credentials.find(action.repository)
        realm = endpoint.resolve(endpoint.url("/v2/"), scheme.realm, "WWW-Authenticate")
        error: Unauthorized | None = None
        for actions in candidates:
            wanted = spelled(scopes, actions)
            requests = token_requests(realm, scheme.service, wanted, credentials)
            answer = self._token_service.ask(endpoint, action, requests)
            if answer.status == 200:
                self._let_in.add(endpoint.name)
                if may_delete(scopes):
                    known.asked = actions
                    self._delete_actions.note(endpoint.name, actions)
                return self._read(answer, scopes, realm)
            refusal = read_refusal(answer.status, answer.headers, answer.body)
            error = error or self.unauthorized(refusal, for_token(action, realm, answer.url))
            knows_us = answer.status == 401 and endpoint.name in self._let_in
            if not may_delete(scopes) or not (knows_us or answer.status in _UNKNOWN_ACTION):
                break
            known.spent |= {actions}
        assert error is not None, "there is at least one candidate"
        raise error

    def _read(self, answer: TokenAnswer, scopes: Scopes, realm: str) -> Token:
        if is_page(answer.headers, answer.body):
            raise RegistryError(
                f"the token service {shown(answer.url)} answered without a token: "
                f"{page_fact('it', answer.body)}",
                advice=PAGE_ADVICE,
            )
        try:
            return read_token(answer.body, scopes, self._clock(), shown(realm))
        except FormatError as error:
            raise RegistryError(f"{error}; it, or the registry's realm, is set up wrong") from error


def _basic(credentials: Credentials) -> str | None:
    if not credentials.password and not credentials.identity_token:
        return None
    return basic_header(credentials)
