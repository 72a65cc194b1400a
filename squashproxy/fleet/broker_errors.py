"""Errors of the broker's client, turned into errors whose text is a sentence."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from redis import exceptions

from squashproxy.fleet.errors import BrokerAway, BrokerRefused, FleetError
from squashproxy.printable import printable

_AWAY: tuple[tuple[str, tuple[type[Exception], ...], str, str], ...] = (
    ("LOADING", (exceptions.BusyLoadingError,), "it is loading its data", ""),
    (
        *("OOM", (exceptions.OutOfMemoryError,)),
        *("it is full", "give it more memory (maxmemory)"),
    ),
    (
        *("READONLY", (exceptions.ReadOnlyError,)),
        *("it is a replica, which takes no writes", "name the primary as `engine.broker`"),
    ),
    ("MISCONF", (), "it cannot write its data to disk", "see its log"),
    ("BUSY", (), "a script keeps it busy", ""),
    ("MASTERDOWN", (exceptions.MasterDownError,), "it is a replica without its primary", ""),
    ("NOREPLICAS", (), "it has too few replicas", ""),
)
"""Codes of answers that another attempt may not meet: code, classes, reason, advice."""

_SILENT = "no answer in time"
_CLOSED = "the connection was closed"
_CUT = (_CLOSED, "connection reset by peer")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
_WANTS_CERTIFICATE = ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE")
"""Reasons of TLS alerts, as OpenSSL names them; the second is that of TLS 1.2."""
_SECRETS = ("WRONGPASS", "NOAUTH", "ERR AUTH", "ERR invalid password")


def broker_error(error: exceptions.RedisError, address: str) -> FleetError:
    """The error for one of redis-py's; `address` names the broker."""
    place = f"the broker {address}"
    text = str(error)
    found = _tls_error(error, place) or _refusal(error, text, place) or _away(error, text, place)
    return found or BrokerRefused(f"{place} refused a command: {printable(text)}")


def _tls_error(error: BaseException, place: str) -> FleetError | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BrokerRefused(
                f"the certificate of {place} is not trusted: {cause.verify_message}",
                advice="give its authority as `engine.ca`",
            )
        if isinstance(cause, ssl.SSLError):
            return _handshake_error(cause, place)
    return None


def _handshake_error(error: ssl.SSLError, place: str) -> FleetError | None:
    """None where the connection just ended: a server that stops does that, and one that refuses
    a client without a certificate, if its alert came too late to be read.
    """
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None
    if error.reason in _WANTS_CERTIFICATE:
        return BrokerRefused(
            f"{place} asks for a client's certificate, and there is none for it",
            advice="set `tls-auth-clients no` there, and a password",
        )
    if error.reason in _NO_TLS:
        return BrokerRefused(
            f"{place} does not speak TLS", advice="if it is meant to be so, write redis://"
        )
    return BrokerRefused(
        f"{place} and this machine find no way to speak TLS: {error.reason or error.strerror}",
        advice="see the log of the server, and its TLS settings",
    )


def _refusal(error: exceptions.RedisError, text: str, place: str) -> FleetError | None:
    if isinstance(error, exceptions.AuthenticationError) or text.startswith(_SECRETS):
        return BrokerRefused(
            f"{place} does not accept the password", advice="mend that of `engine.broker`"
        )
    if isinstance(error, exceptions.NoPermissionError) or text.startswith("NOPERM"):
        return BrokerRefused(
            f"{place} does not allow its user what the fleet needs: {printable(text)}",
            advice="see the rules of that user (ACL)",
        )
    if "DB index is out of range" in text:
        return BrokerRefused(
            f"{place} has no database of the number in `engine.broker`",
            advice="write a lower one, or raise `databases` of the server",
        )
    return None


def _away(error: exceptions.RedisError, text: str, place: str) -> FleetError | None:
    for code, kinds, reason, advice in _AWAY:
        if text.startswith(code) or isinstance(error, kinds):
            return BrokerAway(f"{place} cannot be used: {reason}", advice=advice)
    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError)):
        reason = _reason(error)
        return BrokerAway(f"{place} cannot be reached: {reason}", advice=_advice(place, reason))
    return None


def _advice(place: str, reason: str) -> str:
    """A server that waits for TLS, or for none, does not say so."""
    if reason in _CUT and "rediss://" in place:
        return (
            "is it up, or does it ask for a client's certificate (`tls-auth-clients no` ends that)?"
        )
    if reason == _SILENT and "rediss://" in place:
        return "is it up, and does it speak TLS?"
    if reason in _CUT and "redis://" in place:
        return "is it up? If it speaks TLS, write rediss://"
    return "is it up?"


def _reason(error: exceptions.RedisError) -> str:
    if isinstance(error, exceptions.TimeoutError):
        return _SILENT
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return _SILENT
        if isinstance(cause, ssl.SSLError):
            return _CLOSED
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return _CLOSED


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
