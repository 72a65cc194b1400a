"""Error responses of registries, turned into errors whose text is a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from squashproxy.errors import (
    Denied,
    NotFound,
    RegistryError,
    ServerFault,
    SquashproxyError,
    TooManyRequests,
    Unauthorized,
)
from squashproxy.reference import Repository
from squashproxy.registry.http.retry_after import parse_retry_after, span_text
from squashproxy.registry.http.web_pages import title_of

MAX_ERROR_BODY = 64 << 10
"""Bytes of an error's body that are read."""

_LATER = (408, 425, 429)
_MAX_SHOWN = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]|\ufffd.{0,8}\ufffd", re.DOTALL)
"""Control characters but for escapes of a terminal, or bytes that are no UTF-8, close together."""
_LOG = "its log says why, or that of a proxy before it"
_NO_REGISTRY = "check that it is a registry, and that no proxy before it changes answers"
_FULL = ("no space left", "insufficient storage", "quota")


@dataclass(frozen=True, slots=True)
class Action:
    """An action on a repository, for error messages; `text` as in "the push of 1.0 to apps/web".

    `wanted` names what a 404 says is missing; None if that can only be the repository.
    """

    repository: Repository
    text: str
    wanted: str | None = None
    pushes: bool = False

    @property
    def host(self) -> str:
        """The registry's name."""
        return self.repository.host


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response: status, headers (names in lower case), and its body's codes and text."""

    status: int
    headers: Mapping[str, str]
    codes: frozenset[str]
    text: str


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an error response; the body is the specification's JSON, other JSON, HTML or text."""
    # A lookup joins repeated fields with commas; items() would keep only one of them.
    lower = {name.lower(): headers[name] for name in headers}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(status, lower, frozenset(), _plain_text(body))
    return _read_document(status, lower, document)


def refusal_error(refusal: Refusal, action: Action, now: datetime | None = None) -> RegistryError:
    """The error for a refused action; `unauthorized_error` is for 401."""
    status, host = refusal.status, action.host
    said = f": {refusal.text}" if refusal.text else ""
    suffix = f"(HTTP {status})"
    if _is_full(refusal, action):
        return RegistryError(
            f"{host} is out of space for {action.text}{said} {suffix}",
            advice="make room there, then try again",
            status=status,
        )
    if status == 429:
        wait = retry_after_of(refusal.headers, now)
        return TooManyRequests(
            f"{host} limits the rate of requests{said} {suffix}{_asked_for(wait)}",
            advice="try again later, or log in for a higher limit",
            status=status,
            retry_after=wait,
        )
    if is_temporary(status) and not _takes_no_pushes(refusal, action):
        wait = retry_after_of(refusal.headers, now)
        return ServerFault(
            f"{host} failed at {action.text}{said} {suffix}{_asked_for(wait)}",
            advice="try again, and if it stays so, the registry's log says why",
            status=status,
            retry_after=wait,
        )
    return _refused(refusal, action, said, suffix)


def is_temporary(status: int) -> bool:
    """Whether an answer of this status is worth another attempt.

    408 (the server waited too long for the request) and 425 (it came too early) are, like 429 and
    5xx (RFC 9110, section 15.5.9; RFC 8470, section 5.2).
    """
    return status >= 500 or status in _LATER


def unauthorized_error(
    refusal: Refusal,
    action: Action,
    known: str | None,
    variable: str,
    failure: SquashproxyError | None = None,
) -> Unauthorized:
    """The error for a 401; `known` says which credentials were tried, None if there were none.

    `variable` is the environment variable that may hold credentials; `failure` is why a helper
    program gave none.
    """
    said = f": {refusal.text}" if refusal.text else ""
    fact = f"{action.host} refused {action.text}{said} (HTTP {refusal.status})"
    if known is None and failure is not None:
        what_to_do = f": {failure.advice}" if failure.advice else ""
        advice = f"it asks for credentials, and {failure.fact}{what_to_do}"
    elif known is None:
        advice = (
            f"it asks for credentials: run `docker login {action.host}`, "
            f"or set {variable} to user:password"
        )
    else:
        advice = f"check the credentials of {known}, and that they allow this"
    return Unauthorized(fact, advice=advice, status=refusal.status)


def retry_after_of(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The wait in seconds that Retry-After asks for, None without a readable value."""
    return parse_retry_after(headers.get("retry-after", ""), now or datetime.now(UTC))


def _asked_for(wait: float | None) -> str:
    return f" and asks to wait {span_text(wait)}" if wait else ""


def _refused(refusal: Refusal, action: Action, said: str, suffix: str) -> RegistryError:
    status, host, path = refusal.status, action.host, action.repository.path
    if _takes_no_pushes(refusal, action):
        return Denied(
            f"{host} takes no pushes{said} {suffix}",
            advice="push to another registry",
            status=status,
        )
    if status == 404:
        if action.wanted is None or "NAME_UNKNOWN" in refusal.codes:
            return NotFound(
                f"{host} has no repository {path}{said} {suffix}",
                advice="check its name, and whether it has to be created first",
                status=status,
            )
        return NotFound(
            f"{host} has no {action.wanted} in {path} {suffix}",
            advice="check the name",
            status=status,
        )
    if status == 403:
        verb = "push there" if action.pushes else "pull from there"
        return Denied(
            f"{host} refused {action.text}{said} {suffix}",
            advice=f"check that the account may {verb}",
            status=status,
        )
    return RegistryError(
        f"{host} refused {action.text}{said} {suffix}",
        advice=_LOG if status >= 400 else _NO_REGISTRY,
        status=status,
    )


def _takes_no_pushes(refusal: Refusal, action: Action) -> bool:
    return action.pushes and (
        refusal.status == 405 or (refusal.status < 501 and "UNSUPPORTED" in refusal.codes)
    )


def _is_full(refusal: Refusal, action: Action) -> bool:
    if refusal.status == 507:
        return True
    text = refusal.text.lower()
    return action.pushes and refusal.status != 429 and any(mark in text for mark in _FULL)


def text_of_errors(document: object) -> str:
    """The error text in a JSON document; empty if it holds none."""
    return _read_document(0, {}, document).text


def _read_document(status: int, headers: Mapping[str, str], document: object) -> Refusal:
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return Refusal(status, headers, frozenset(), _clean(_other_text(document)))
    entries = [entry for entry in errors if isinstance(entry, dict)]
    codes = frozenset(_text_in(entry, "code").upper() for entry in entries) - {""}
    text = "; ".join(filter(None, (_entry_text(entry) for entry in entries)))
    return Refusal(status, headers, codes, _clean(text))


def _entry_text(entry: Mapping[str, object]) -> str:
    code = _text_in(entry, "code").lower().replace("_", " ")
    message = _text_in(entry, "message")
    detail = entry.get("detail")
    if code in ("unknown", "") and detail:
        message = f"{message}: {detail if isinstance(detail, str) else _json_text(detail)}"
    return f"{code}: {message}" if code and message else code or message


def _text_in(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    return str(value) if isinstance(value, (str, int)) else ""


def _json_text(value: object) -> str:
    """A value as JSON; empty if it is nested too deeply."""
    try:
        return json.dumps(value)
    except RecursionError:
        return ""


def _other_text(document: object) -> str:
    """The reason in JSON of a registry's own form, under one of the usual names."""
    if isinstance(document, str):
        return document
    if isinstance(document, dict):
        for key in ("message", "error_description", "details", "detail", "error", "reason"):
            if isinstance(document.get(key), str):
                return str(document[key])
    return ""


def _plain_text(body: bytes) -> str:
    """The text of a body; empty for one that is none, such as the blob that was asked for."""
    text = body.decode(errors="replace")
    if _BINARY.search(text):
        return ""
    return _clean(title_of(text) if "<html" in text.lower() else text)


def _clean(text: str) -> str:
    """One short line without control characters, since it is shown on a terminal."""
    line = _CONTROL.sub(" ", text).strip().rstrip(".;")
    return line if len(line) <= _MAX_SHOWN else line[: _MAX_SHOWN - 3] + "..."
