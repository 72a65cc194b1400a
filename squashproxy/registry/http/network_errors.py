"""Network errors, turned into errors whose text is a sentence."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    ProxyError,
    ProxySchemeUnknown,
)
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from squashproxy.errors import (
    MORE_DESCRIPTORS,
    Patience,
    RegistryError,
    TlsError,
    Unreachable,
    lacks_descriptors,
)
from squashproxy.registry.http.least_speed import TooSlow
from squashproxy.registry.http.urls import shown

NETWORK_ERRORS = (HTTPError, OSError, ValueError)
"""Exceptions of pools and sockets; ValueError is for a URL or header that cannot be sent."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ProxySchemeUnknown,), "the proxy of the environment is no HTTP proxy"),
    ((ProxyError,), "the proxy does not connect"),
    ((socket.gaierror,), "the name is not known"),
    ((ConnectionRefusedError,), "connection refused"),
    ((TooSlow,), "its answer came too slowly"),
    ((TimeoutError, PoolTimeoutError), "no answer in time"),
    ((RemoteDisconnected, IncompleteRead), "the connection was closed"),
    ((HTTPException, InvalidHeader), "its answer is not valid HTTP"),
)
"""Most specific first: urllib3 also reports an unknown name as a time-out."""


def request_error(
    error: BaseException, url: str, host: str, *, is_known: bool = False
) -> RegistryError:
    """The error for a request to `url` without a complete response; `host` names the server.

    A server that `is_known` has answered before in this run, so its name is right.
    """
    causes = list(_iter_causes(error))
    certain = next(filter(None, (_certain_error(cause, host) for cause in causes)), None)
    if certain is not None:
        return certain
    if isinstance(error, ValueError) and not isinstance(error, ProxySchemeUnknown):
        return RegistryError(f"{host} named '{shown(url)}', which is no usable URL")
    reason = _reason(causes)
    patience = _patience(causes)
    if _is_cut(causes):
        return Unreachable(
            f"the connection to {host} broke before its answer was complete: {reason}",
            advice="try again",
            patience=patience,
        )
    if is_known:
        return Unreachable(
            f"cannot reach {host} any more: {reason}", advice="try again", patience=patience
        )
    return Unreachable(
        f"cannot reach {host}: {reason}",
        advice="is it up, and is the name right?",
        patience=Patience.SECONDS,
    )


def no_descriptors(host: str) -> Unreachable:
    """The error for a connection that needs a file descriptor, and none is left."""
    return Unreachable(
        f"no connection to {host}: too many files are open here",
        advice=MORE_DESCRIPTORS,
        patience=Patience.SECONDS,
    )


def _certain_error(cause: BaseException, host: str) -> RegistryError | None:
    """The error for a cause that says by itself what is wrong; None for any other."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TlsError(
            f"the certificate of {host} is not trusted: {cause.verify_message}",
            advice=f"give its authority with {{ca}}, or {{insecure}} {host} to skip the check",
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        return TlsError(
            f"{host} does not speak TLS",
            advice=f"if it is meant to be plain HTTP, give {{plain-http}} {host}",
        )
    if lacks_descriptors(cause):
        return no_descriptors(host)
    return None


def body_error(error: BaseException, host: str, what: str) -> Unreachable:
    """The error for a response whose body broke off; `what` names the content."""
    causes = list(_iter_causes(error))
    return Unreachable(
        f"the connection to {host} broke while {what} was read: {_reason(causes)}",
        advice="try again",
        patience=_patience(causes),
    )


def cut_error(host: str, what: str) -> Unreachable:
    """The error for content that ends in its middle, although its response seemed complete."""
    return Unreachable(
        f"the connection to {host} broke while {what} was read: the connection was closed",
        advice="try again",
        patience=Patience.SECONDS,
    )


def _is_cut(causes: list[BaseException]) -> bool:
    """Whether an answer had begun, so that the server is up and speaks HTTP."""
    return any(isinstance(cause, (IncompleteRead, TooSlow)) for cause in causes)


def _patience(causes: list[BaseException]) -> Patience:
    """A server that drips, or answers what is no HTTP, is up: waiting for it helps less."""
    up = (TooSlow, InvalidHeader)
    strange = any(
        isinstance(cause, HTTPException)
        and not isinstance(cause, (RemoteDisconnected, IncompleteRead))
        for cause in causes
    )
    is_up = strange or any(isinstance(cause, up) for cause in causes)
    return Patience.MINUTE if is_up else Patience.OUTAGE


def _reason(causes: list[BaseException]) -> str:
    for kinds, reason in _REASONS:
        if any(isinstance(cause, kinds) for cause in causes):
            return reason
    for cause in causes:
        if isinstance(cause, OSError):
            return (cause.strerror or "the connection was closed").lower()
    return "the connection was closed"


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all its causes; urllib3 also keeps causes in arguments and `reason`."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None))
        waiting.extend(
            cause for cause in (*inner, *current.args) if isinstance(cause, BaseException)
        )
