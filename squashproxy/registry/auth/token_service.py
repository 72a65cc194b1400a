"""Requests to token services, along their redirects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from squashproxy.errors import RegistryError
from squashproxy.registry.auth.schemes import TokenRequest
from squashproxy.registry.http.connections import Connections, Message, read_body
from squashproxy.registry.http.cut_json import is_cut_json
from squashproxy.registry.http.endpoints import Endpoint, origin_of
from squashproxy.registry.http.error_responses import (
    Action,
    is_temporary,
    read_refusal,
    refusal_error,
)
from squashproxy.registry.http.urls import shown

_MAX_TOKEN_BODY = 1 << 20
_MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_SEE_OTHER = 303
_METHOD_NOT_ALLOWED = 405
_NOT_OFFERED = (404, _METHOD_NOT_ALLOWED)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer, read to its end; `url` is the one that gave it, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class TokenService:
    """Asks the token services of registries. `timeout` is in seconds.

    Nothing is repeated here: the call that needs a token is, so that both share one budget.
    """

    def __init__(self, connections: Connections, timeout: float) -> None:
        self._connections = connections
        self._timeout = timeout

    def ask(
        self, endpoint: Endpoint, action: Action, requests: Sequence[TokenRequest]
    ) -> TokenAnswer:
        """The answer to the first of `requests` that the token service offers.

        Raises RegistryError.
        """
        for number, request in enumerate(requests, 1):
            answer = self._ask(endpoint, request, action)
            is_whole = len(answer.body) <= _MAX_TOKEN_BODY
            if answer.status == 200 and is_whole and is_cut_json(answer.body):
                answer = self._ask(endpoint, request, action)
            if answer.status not in _NOT_OFFERED or number == len(requests):
                return answer
        raise AssertionError("there is at least one request")

    def _ask(self, endpoint: Endpoint, request: TokenRequest, action: Action) -> TokenAnswer:
        answer = self._send(endpoint, request, action.host)
        if is_temporary(answer.status):
            refusal = read_refusal(answer.status, answer.headers, answer.body)
            raise refusal_error(refusal, for_token(action, request.url, answer.url))
        return answer

    def _send(self, endpoint: Endpoint, request: TokenRequest, host: str) -> TokenAnswer:
        """Send a request and follow redirects.

        The password goes along only within one origin (scheme, host and port). A form, which holds
        an identity token, never leaves it: a redirect to elsewhere counts as 405, so that the
        request without a form comes next. Raises RegistryError.
        """
        name = f"the token service of {host}"
        message = self._message(request)
        for _ in range(_MAX_REDIRECTS):
            response = self._connections.follow(message, endpoint, name)
            body = read_body(response, _MAX_TOKEN_BODY, name, "its answer")
            answer = TokenAnswer(response.status, response.headers, body, message.url)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            url = endpoint.resolve(message.url, location, "Location")
            if origin_of(url) != origin_of(message.url):
                if message.body is not None and answer.status != _SEE_OTHER:
                    return replace(answer, status=_METHOD_NOT_ALLOWED)
                message = replace(message, headers={})
            if answer.status == _SEE_OTHER and message.body is not None:
                message = Message("GET", url, timeout=self._timeout)
            else:
                message = replace(message, url=url)
        raise RegistryError(f"{name} redirects in circles; it is set up wrong")

    def _message(self, request: TokenRequest) -> Message:
        if request.form is None:
            return Message("GET", request.url, request.headers, timeout=self._timeout)
        headers = {**request.headers, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(request.form).encode()
        return Message("POST", request.url, headers, body, self._timeout)


def for_token(action: Action, realm: str, url: str) -> Action:
    """The action of getting a token; `url` is the one that answered, after redirects."""
    moved = ""
    if origin_of(url) != origin_of(realm):
        moved = f" (which sent us to {shown(url)}, where no password was sent)"
    return Action(action.repository, f"a token from {shown(realm)}{moved} for {action.text}")
