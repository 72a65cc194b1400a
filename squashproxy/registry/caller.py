"""Calls to a registry: authorizes a request, follows redirects, turns refusals into errors."""

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
from squashproxy.registry.http.web_pages import is_page, page_error

_MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEPING_REDIRECTS = (307, 308)
_MAX_AUTHORIZATIONS = 4
_HIDING = (403, 404)
"""The status codes of registries that hide what they hold from those who are not logged in."""
_SIGNED_FOR_GET = frozenset({400, 401, 403})
"""The status codes of storage behind a redirect whose URL was signed for GET."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request and what it is for. An answer with a status not in `expected` is an error.

    `timeout` is in seconds; None means the client's. `basic_only` is for APIs that accept user and
    password but no token. With `takes_pages`, a web page is an answer, too. One that `ends_session`
    is made even after the client was stopped. With `head_suffices`, the head of an answer below 300
    says all, so that its body may be cut. A `precious` body, which is large or passes only once, is
    not sent before a token is at hand.
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
    takes_pages: bool = False
    ends_session: bool = False
    head_suffices: bool = False
    precious: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An expected answer, read to its end; `url` is the one that gave it, after redirects."""

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
        """Make a call and read its answer; repeat the call while its errors are temporary.

        Only for calls that may be made twice. At most `limit` + 1 bytes of the body are returned.
        Raises RegistryError.
        """
        return self.retry.call(lambda: self.ask_once(call, limit), self.repository.host)

    def ask_once(self, call: Call, limit: int = MAX_ERROR_BODY) -> Answer:
        """Make a call once and read its answer; at most `limit` + 1 bytes of its body are returned.

        The last byte shows that a body was too long. Raises RegistryError.
        """
        response = self.open(call)
        may_break = call.head_suffices and response.status < 300
        body = read_body(response, limit, self.endpoint.name, call.action.text, may_break=may_break)
        is_answer = call.takes_pages or response.status >= 300
        if not is_answer and is_page(response.headers, body):
            raise page_error(self.endpoint.name, call.action.text, body)
        return Answer(response.status, response.headers, body, str(response.url))

    def ask_head(self, call: Call) -> Answer:
        """As `ask`, for a HEAD that a GET can follow.

        A redirect may lead to an address that takes no HEAD, since its signature is for GET. Its
        refusal is an answer, too; the registry's own is an error.
        """
        answer = self.ask(replace(call, expected=call.expected | _SIGNED_FOR_GET))
        if answer.status not in call.expected and answer.url == call.url:
            raise self.refused(answer, call)
        return answer

    def refused(self, answer: Answer, call: Call) -> RegistryError:
        """The error for an answer that was expected, but means a refusal."""
        refusal = read_refusal(answer.status, answer.headers, answer.body)
        return refusal_error(refusal, call.action)

    def open(self, call: Call) -> Response:
        """Make a call once and return its expected answer; the body is still to be read.

        Raises RegistryError for any other answer, for none, and for too many redirects.
        """
        message = Message(
            call.method,
            call.url,
            call.headers,
            call.body,
            call.timeout or self.timeout,
            call.ends_session,
        )
        for _ in range(_MAX_REDIRECTS):
            response = self._send_authorized(call, message)
            if response.status in call.expected:
                return response
            location = response.headers.get("Location")
            body = read_body(response, MAX_ERROR_BODY, self.endpoint.name, call.action.text)
            refusal = read_refusal(response.status, response.headers, body)
            if response.status < 300 and is_page(response.headers, body):
                raise page_error(self.endpoint.name, call.action.text, body)
            if location is None or response.status not in _REDIRECTS:
                raise refusal_error(refusal, call.action)
            url = self.endpoint.resolve(message.url, location, "Location")
            if not _may_follow(message, response.status):
                self._check_page(url, call)
                raise refusal_error(refusal, call.action)
            message = replace(message, url=url)
        raise RegistryError(
            f"{self.endpoint.name} sent {call.action.text} in circles of redirects; "
            "it is set up wrong"
        )

    def _check_page(self, url: str, call: Call) -> None:
        """Raise RegistryError if a request that writes was redirected to a web page."""
        for _ in range(_MAX_REDIRECTS):
            host = self._other_host(url)
            try:
                message = Message("GET", url, timeout=self.timeout)
                response = self.connections.follow(message, self.endpoint, host)
                body = read_body(response, MAX_ERROR_BODY, host, call.action.text)
                location = response.headers.get("Location")
                if location is not None and response.status in _REDIRECTS:
                    url = self.endpoint.resolve(url, location, "Location")
                    continue
            except RegistryError:
                return  # then the first redirect is what there is to tell
            if is_page(response.headers, body):
                raise page_error(self.endpoint.name, call.action.text, body)
            return

    def _send_authorized(self, call: Call, message: Message) -> Response:
        """Send with an Authorization header; without one if the URL is on another host."""
        if not self.endpoint.serves(message.url):
            host = self._other_host(message.url)
            return self.connections.follow(message, self.endpoint, host)
        if call.basic_only:
            return self._send_basic(call, message)
        retry = self.retry if call.precious else None
        header = self.authorizer.header(self.endpoint, call.action, call.scopes, retry)
        attempts = 0
        while True:
            response = self.connections.send(
                _with_authorization(message, header), self.endpoint.name
            )
            if response.status in _HIDING and header is None and _is_replayable(message.body):
                try:
                    header = self.authorizer.hidden_header(
                        self.endpoint,
                        call.action,
                        call.scopes,
                        expected=response.status in call.expected,
                    )
                except RegistryError:
                    response.close()
                    raise
                if header is not None:
                    self._refusal(response, call)
                    continue
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
        """Read an unexpected answer to its end, so that the connection can be used again."""
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
