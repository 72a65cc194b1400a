"""Authentication schemes: challenges in, headers and token requests out; no I/O."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlencode

from squashproxy.decimals import parse_decimal
from squashproxy.errors import FormatError
from squashproxy.registry.auth.challenges import Challenge
from squashproxy.registry.auth.login import Credentials
from squashproxy.registry.auth.scopes import Scopes, render_scopes

CLIENT_ID = "squashproxy"
_ENCODING = ("utf-8", "surrogateescape")
"""Bytes from the environment that are not UTF-8 are sent unchanged."""

_DEFAULT_LIFETIME = 60.0
_LONGEST_LIFETIME = 86400.0
_MOST_TOKEN = 32 << 10
"""Characters of a token, which has to fit into a header. Several are kept for each repository."""

_MARGIN = 10.0
_MARGIN_SHARE = 0.2


class SchemeKind(Enum):
    """The kinds of Authorization header that registries accept."""

    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Scheme:
    """The scheme that a registry asked for; the other fields belong to BEARER."""

    kind: SchemeKind
    realm: str = ""
    service: str = ""
    scopes: str = ""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to a token service; `form` makes it a POST."""

    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; `received` is a time of a monotonic clock, both times are in seconds."""

    value: str
    scopes: Scopes
    received: float
    lifetime: float

    def is_fresh(self, now: float) -> bool:
        """Whether more than 10 s and more than 20 % of the lifetime are left.

        A token that lasts less than 20 s is fresh for the first half of its lifetime.
        """
        margin = min(max(_MARGIN, _MARGIN_SHARE * self.lifetime), self.lifetime / 2)
        return now < self.received + self.lifetime - margin


def choose_scheme(challenges: Iterable[Challenge]) -> Scheme | None:
    """The best scheme that is offered: Bearer with a realm, else Basic, None for neither."""
    best: Scheme | None = None
    for challenge in challenges:
        values = challenge.parameters
        if challenge.scheme == "bearer" and values.get("realm"):
            return Scheme(
                SchemeKind.BEARER,
                values["realm"],
                values.get("service", ""),
                values.get("scope", ""),
            )
        if challenge.scheme == "basic":
            best = Scheme(SchemeKind.BASIC)
    return best


def basic_header(credentials: Credentials) -> str:
    """The Authorization header for Basic; an identity token takes the place of the password."""
    user = credentials.username or ("<token>" if credentials.identity_token else "")
    secret = credentials.password or credentials.identity_token
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode(*_ENCODING)).decode()


def token_requests(
    realm: str, service: str, scopes: Scopes, credentials: Credentials | None
) -> list[TokenRequest]:
    """Requests for a token; the next one is tried when a service answers 404 or 405.

    An identity token is exchanged by a POST (OAuth 2, refresh_token), which some services lack.
    """
    wanted = render_scopes(scopes)
    requests = []
    if credentials is not None and credentials.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "scope": " ".join(wanted),
            "client_id": CLIENT_ID,
            "refresh_token": credentials.identity_token,
        }
        requests.append(TokenRequest(realm, {}, form))
    query = [("service", service)] if service else []
    query += [("scope", scope) for scope in wanted]
    if credentials is not None and credentials.username:
        query.append(("account", credentials.username))
    url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query, errors=_ENCODING[1])}"
    headers = {} if credentials is None else {"Authorization": basic_header(credentials)}
    requests.append(TokenRequest(url, headers))
    return requests


def read_token(body: bytes, scopes: Scopes, received: float, where: str) -> Token:
    """Read the answer of a token service. Raises FormatError if it holds no token."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    fields = document if isinstance(document, dict) else {}
    value = fields.get("token") or fields.get("access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise FormatError(f"the token service {where} answered without a token")
    if len(value) > _MOST_TOKEN:
        raise FormatError(
            f"the token service {where} answered with a token of {len(value)} characters, which "
            "fits into no header"
        )
    return Token(value, scopes, received, _lifetime(fields.get("expires_in")))


def _lifetime(value: object) -> float:
    """Seconds that a token lasts: 60 if the service does not say, and at most a day.

    Some services write the number as a string. NaN, infinity and `true` are refused here since
    they are numbers to Python.
    """
    number = parse_decimal(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number > 0:
        return _DEFAULT_LIFETIME
    return float(min(number, _LONGEST_LIFETIME))
