"""A registry's refusals, as errors whose text is a sentence for a person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from squashproxy.errors import (
    Denied,
    NotFound,
    RegistryError,
    ServerFault,
    TooManyRequests,
    Unauthorized,
)
from squashproxy.reference import Repository

MAX_ERROR_BODY = 64 << 10
"""Bytes of an error's body that are read."""

_MAX_WAIT = 300.0
_MAX_SHOWN = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FULL = ("no space left", "insufficient storage", "quota")


@dataclass(frozen=True, slots=True)
class Action:
    """What was asked of a registry, for sentences: `text` as in "the push of 1.0 to apps/web".

    `wanted` names what a 404 says is missing, None where that can only be the repository.
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
    """An answer that refuses: status, headers (names in lower case) and what its body says."""

    status: int
    headers: Mapping[str, str]
    codes: frozenset[str]
    text: str


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an error's body: the specification's JSON, other JSON, HTML or plain text."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(status, lower, frozenset(), _plain_text(body))
    return _read_document(status, lower, document)


def fault_of(refusal: Refusal, action: Action, now: datetime | None = None) -> RegistryError:
    """The error for a refused action; 401 needs `unauthorized`, which knows the credentials."""
    status, host = refusal.status, action.host
    said = f": {refusal.text}" if refusal.text else ""
    suffix = f"(HTTP {status})"
    if _is_full(refusal, action):
        return RegistryError(
            f"{host} is out of space for {action.text}{said} {suffix}; "
            "make room there, then try again",
            status=status,
        )
    if status == 429:
        return TooManyRequests(
            f"{host} limits how often it may be asked{said} {suffix}; "
            "try again later, or log in for a higher limit",
            status=status,
            retry_after=retry_after_of(refusal.headers, now),
        )
    if status >= 500 and not _takes_no_pushes(refusal, action):
        return ServerFault(
            f"{host} failed at {action.text}{said} {suffix}; "
            "try again, and if it stays so, the registry's log says why",
            status=status,
            retry_after=retry_after_of(refusal.headers, now),
        )
    return _refused(refusal, action, said, suffix)


def unauthorized(
    refusal: Refusal, action: Action, known: str | None, variable: str
) -> Unauthorized:
    """The error for a 401; `known` says whose credentials were tried, None where there are none."""
    said = f": {refusal.text}" if refusal.text else ""
    start = f"{action.host} refused {action.text}{said} (HTTP {refusal.status})"
    if known is None:
        advice = (
            f"it asks for credentials: run `docker login {action.host}`, "
            f"or set {variable} to user:password"
        )
    else:
        advice = f"check the credentials of {known}, and that they allow this"
    return Unauthorized(f"{start}; {advice}", status=refusal.status)


def retry_after_of(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that Retry-After asks to wait, at most 300 (RFC 9110, section 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return min(float(text), _MAX_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _MAX_WAIT)


def _refused(refusal: Refusal, action: Action, said: str, suffix: str) -> RegistryError:
    status, host, path = refusal.status, action.host, action.repository.path
    if _takes_no_pushes(refusal, action):
        return Denied(
            f"{host} takes no pushes{said} {suffix}; push to another registry", status=status
        )
    if status == 404:
        if action.wanted is None or "NAME_UNKNOWN" in refusal.codes:
            return NotFound(
                f"{host} has no repository {path}{said} {suffix}; check its name, and whether it "
                "has to be created first",
                status=status,
            )
        return NotFound(
            f"{host} has no {action.wanted} in {path} {suffix}; check the name", status=status
        )
    if status == 403:
        verb = "push there" if action.pushes else "pull from there"
        return Denied(
            f"{host} refused {action.text}{said} {suffix}; check that the account may {verb}",
            status=status,
        )
    return RegistryError(f"{host} refused {action.text}{said} {suffix}", status=status)


def _takes_no_pushes(refusal: Refusal, action: Action) -> bool:
    return action.pushes and (
        refusal.status == 405 or (refusal.status < 501 and "UNSUPPORTED" in refusal.codes)
    )


def _is_full(refusal: Refusal, action: Action) -> bool:
    if refusal.status == 507:
        return True
    text = refusal.text.lower()
    return action.pushes and refusal.status != 429 and any(mark in text for mark in _FULL)


def _read_document(status: int, headers: Mapping[str, str], document: object) -> Refusal:
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return Refusal(status, headers, frozenset(), _clean(_other_text(document)))
    entries = [entry for entry in errors if isinstance(entry, dict)]
    codes = frozenset(str(entry.get("code") or "").upper() for entry in entries) - {""}
    text = "; ".join(filter(None, (_entry_text(entry) for entry in entries)))
    return Refusal(status, headers, codes, _clean(text))


def _entry_text(entry: Mapping[str, object]) -> str:
    code = str(entry.get("code") or "").lower().replace("_", " ")
    message = str(entry.get("message") or "")
    detail = entry.get("detail")
    if code in ("unknown", "") and detail:
        message = f"{message}: {detail if isinstance(detail, str) else json.dumps(detail)}"
    return f"{code}: {message}" if code and message else code or message


def _other_text(document: object) -> str:
    """Registries that answer in their own JSON keep the reason under one of these names."""
    if isinstance(document, str):
        return document
    if isinstance(document, dict):
        for key in ("message", "error_description", "details", "detail", "error", "reason"):
            if isinstance(document.get(key), str):
                return str(document[key])
    return ""


def _plain_text(body: bytes) -> str:
    text = body.decode(errors="replace")
    if "<html" in text.lower():
        title = _TITLE.search(text)
        text = title[1] if title else ""
    return _clean(text)


def _clean(text: str) -> str:
    """One short line, without control characters: it ends up on a terminal."""
    line = _CONTROL.sub(" ", text).strip().rstrip(".;")
    return line if len(line) <= _MAX_SHOWN else line[: _MAX_SHOWN - 3] + "..."
