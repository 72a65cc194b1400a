"""Calls to a registry: a request with its proof, its redirects and its refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from squashproxy.errors import RegistryError
from squashproxy.reference import Repository
from squashproxy.registry.auth.authorizer import Authorizer
from squashproxy.registry.auth.scopes import Scopes
from squashproxy.registry.http.connections import Body, Connections, Message, Response, read_body
from squashproxy.registry.http.endpoints import Endpoint, origin_of
from squashproxy.registry.http.error_responses import (
    MAX_ERROR_BODY,
    Action,
    Refusal,
    read_refusal,
    refusal_error,
)
from squashproxy.registry.http.retry import Retry

_MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEPING_REDIRECTS = (307, 308)
_MAX_AUTHORIZATIONS = 2


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its meaning; statuses other than `expected` become errors.

    `timeout` is in seconds, None for the client's own. `basic_only` is for what takes none of the
    registry's tokens.
    """

    method: str
    url: str
    action: Action
    scopes: Scopes
    expected: frozenset[int]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body | None = None
    timeout: float | None = None
    basic_only: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An expected answer, read to its end; `url` is where it came from, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes calls about one repository; usable from several threads."""

    repository: Repository
    endpoint: Endpoint
    connections: Connections
    authorizer: Authorizer
    retry: Retry
    timeout: float
    commit_timeout: float

    def ask(self, call: Call, limit: int = MAX_ERROR_BODY) -> Answer:
        """Make a call that can be made twice, again while its errors are temporary."""
        return self.retry.call(lambda: self.ask_once(call, limit), self.repository.host)

    def ask_once(self, call: Call, limit: int = MAX_ERROR_BODY) -> Answer:
        """Make a call and read its answer, of which one byte more than `limit` is kept."""
        response = self.open(call)
        body = read_body(response, limit, self.endpoint.name, call.action.text)
        return Answer(response.status, response.headers, body, str(response.url))

    def open(self, call: Call) -> Response:
        """Make a call and return its expected answer, the body unread.

        Raises the RegistryError that the answer, or its lack, stands for.
        """
        message = Message(
            call.method, call.url, call.headers, call.body, call.timeout or self.timeout
        )
        for _ in range(_MAX_REDIRECTS):
            response = self._send_authorized(call, message)
            if response.status in call.expected:
                return response
            location = response.headers.get("Location")
            if location is None or not _may_follow(message, response.status):
                raise refusal_error(self._refusal(response, call), call.action)
            self._refusal(response, call)
            message = replace(message, url=self.endpoint.resolve(message.url, location, "Location"))
        raise RegistryError(
            f"{self.endpoint.name} sent {call.action.text} in circles of redirects; "
            "it is set up wrong"
        )

    def _send_authorized(self, call: Call, message: Message) -> Response:
        """Send with the registry's proof; to other hosts without one."""
        if not self.endpoint.serves(message.url):
            return self.connections.send(message, self._other_host(message.url))
        if call.basic_only:
            return self._send_basic(call, message)
        header = self.authorizer.header(self.endpoint, call.action, call.scopes)
        attempts = 0
        while True:
            response = self.connections.send(
                _with_authorization(message, header), self.endpoint.name
            )
            if response.status != 401:
                return response
            refusal = self._refusal(response, call)
            if attempts == _MAX_AUTHORIZATIONS or not _is_replayable(message.body):
                raise self.authorizer.unauthorized(refusal, call.action)
            header = self.authorizer.answer_challenge(
                self.endpoint, call.action, call.scopes, refusal, header, again=attempts > 0
            )
            attempts += 1

    def _send_basic(self, call: Call, message: Message) -> Response:
        header = self.authorizer.basic_header(call.action)
        response = self.connections.send(_with_authorization(message, header), self.endpoint.name)
        if response.status != 401:
            return response
        raise self.authorizer.unauthorized(self._refusal(response, call), call.action)

    def _refusal(self, response: Response, call: Call) -> Refusal:
        """Read an unexpected answer, so that its connection can be used again."""
        body = read_body(response, MAX_ERROR_BODY, self.endpoint.name, call.action.text)
        return read_refusal(response.status, response.headers, body)

    def _other_host(self, url: str) -> str:
        return f"{origin_of(url)[1]} (where {self.endpoint.name} sent us)"


def _with_authorization(message: Message, header: str | None) -> Message:
    if header is None:
        return message
    return replace(message, headers={**message.headers, "Authorization": header})


def _is_replayable(body: bytes | Body | None) -> bool:
    return body is None or isinstance(body, bytes) or body.replayable


def _may_follow(message: Message, status: int) -> bool:
    if message.method in ("GET", "HEAD"):
        return status in _REDIRECTS
    return status in _KEEPING_REDIRECTS and _is_replayable(message.body)
