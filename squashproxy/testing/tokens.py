"""Access control of a fake registry: credentials, challenges, and the token endpoint."""

from __future__ import annotations

import base64
import binascii
import itertools
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from squashproxy.testing.answers import Answer, Code, Refusal, json_answer
from squashproxy.testing.body import Request
from squashproxy.testing.options import ALL_ACTIONS, Basic, Bearer

_FORM_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Access:
    """The access that a request needs: `actions` on a repository."""

    repo: str
    actions: frozenset[str]

    def __str__(self) -> str:
        order = ("pull", "push", "delete", "*")
        return f"repository:{self.repo}:" + ",".join(a for a in order if a in self.actions)


@dataclass(frozen=True, slots=True)
class _Token:
    ends: float
    grants: frozenset[tuple[str, str]]


class Gate:
    """Checks requests against `auth`, and issues tokens.

    Challenges are those of distribution's token specification: `scope` names the access that the
    request needs, and `error="insufficient_scope"` says that its token is valid but does not
    include that.
    """

    def __init__(self, auth: Basic | Bearer | None, url: str) -> None:
        self._auth = auth
        self._url = url
        self._tokens: dict[str, _Token] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.scopes: list[tuple[str, ...]] = []

    def check(self, request: Request, needs: Sequence[Access]) -> None:
        """Check that a request has the access it needs.

        Raises Refusal: 401 with challenges, or 403.
        """
        if isinstance(self._auth, Basic):
            self._check_basic(self._auth, request, needs)
        elif isinstance(self._auth, Bearer):
            self._check_bearer(self._auth, request, needs)

    def check_password(self, request: Request, need: Access) -> None:
        """Check a request to an API that accepts only passwords.

        Raises Refusal: 401 without a challenge, or 403.
        """
        auth = self._auth
        if auth is None:
            return
        if _basic_credentials(request) == (auth.user, auth.password):
            if need.actions - auth.actions:
                raise Refusal(Code.DENIED)
            return
        is_open = isinstance(auth, Bearer) and auth.anonymous_pull
        if not is_open or need.actions != {"pull"}:
            raise Refusal(Code.UNAUTHORIZED)

    def answer_token(self, request: Request) -> Answer:
        """Answer the token endpoint: GET with Basic credentials, or POST with a form (OAuth 2).

        Raises Refusal.
        """
        auth = self._auth
        if not isinstance(auth, Bearer) or (request.method == "POST" and not auth.post):
            raise Refusal(Code.NOT_FOUND)
        if auth.redirect is not None and request.path == "/token":
            location = f"/token/?{urlencode(dict(request.query), doseq=True)}"
            return Answer(auth.redirect, (("Location", location),))
        if request.method == "POST":
            form = parse_qs(request.body.read(_FORM_LIMIT).decode())
            known, anonymous = _form_is_valid(auth, form), False
        else:
            form = dict(request.query)
            credentials = _basic_credentials(request)
            known = credentials == (auth.user, auth.password)
            anonymous = credentials is None and auth.anonymous_pull
        if not known and not anonymous:
            raise Refusal(
                Code.UNAUTHORIZED,
                "incorrect username or password",
                headers=(("WWW-Authenticate", f'Basic realm="{self._url}/token"'),),
            )
        scopes = tuple(scope for value in form.get("scope", ()) for scope in value.split())
        if not _actions_in(scopes) <= auth.known_actions:
            raise Refusal(Code.UNSUPPORTED, "invalid scope", status=400)
        allowed = auth.actions if known else frozenset({"pull"})
        return self._issue(auth, scopes, allowed)

    def expire_tokens(self) -> None:
        """Make all tokens that were issued so far invalid."""
        with self._lock:
            self._tokens.clear()

    def _issue(self, auth: Bearer, scopes: tuple[str, ...], allowed: frozenset[str]) -> Answer:
        if allowed >= ALL_ACTIONS:
            allowed |= {"*"}
        grants = frozenset(
            (repo, action)
            for scope in scopes
            for repo, actions in [_split_scope(scope)]
            for action in (allowed if actions == "*" else actions.split(","))
            if action in allowed
        )
        with self._lock:
            text = f"token-{next(self._numbers)}"
            self._tokens[text] = _Token(time.monotonic() + auth.lifetime, grants)
            self.scopes.append(scopes)
        document = {"token": text, "access_token": text, "expires_in": int(auth.lifetime)}
        return json_answer(200, document)

    def _check_basic(self, auth: Basic, request: Request, needs: Sequence[Access]) -> None:
        if _basic_credentials(request) != (auth.user, auth.password):
            challenge = ("WWW-Authenticate", 'Basic realm="fake-registry"')
            raise Refusal(Code.UNAUTHORIZED, headers=(challenge,))
        if any(need.actions - auth.actions for need in needs):
            raise Refusal(Code.DENIED)

    def _check_bearer(self, auth: Bearer, request: Request, needs: Sequence[Access]) -> None:
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        if auth.offers_basic and kind.lower() == "basic":
            self._check_basic(Basic(auth.user, auth.password, auth.actions), request, needs)
            return
        token = self._tokens.get(text) if kind.lower() == "bearer" else None
        if token is None or time.monotonic() >= token.ends:
            raise self._challenge(auth, needs, "invalid_token" if kind else "")
        wanted = {(need.repo, action) for need in needs for action in need.actions}
        if not wanted <= token.grants:
            raise self._challenge(auth, needs, "insufficient_scope")

    def _challenge(self, auth: Bearer, needs: Sequence[Access], error: str) -> Refusal:
        realm = auth.realm or f"{self._url}/token"
        text = f'Bearer realm="{realm}",service="{auth.service}"'
        if needs:
            text += f',scope="{" ".join(map(str, needs))}"'
        if error:
            text += f',error="{error}"'
        challenges = [("WWW-Authenticate", text)]
        if auth.offers_basic:
            challenges.append(("WWW-Authenticate", 'Basic realm="fake-registry"'))
        return Refusal(Code.UNAUTHORIZED, headers=tuple(challenges))


def _split_scope(scope: str) -> tuple[str, str]:
    """Split `repository:NAME:ACTIONS` into the name, which may hold colons, and the actions."""
    name, _, actions = scope.partition(":")[2].rpartition(":")
    return name, actions


def _actions_in(scopes: Iterable[str]) -> set[str]:
    return {action for scope in scopes for action in _split_scope(scope)[1].split(",")}


def _form_is_valid(auth: Bearer, form: Mapping[str, list[str]]) -> bool:
    if form.get("grant_type") == ["refresh_token"]:
        return auth.refresh_token is not None and form.get("refresh_token") == [auth.refresh_token]
    return (form.get("username"), form.get("password")) == ([auth.user], [auth.password])


def _basic_credentials(request: Request) -> tuple[str, str] | None:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    return user, password
