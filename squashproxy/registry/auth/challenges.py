"""The WWW-Authenticate header (RFC 9110, section 11.6.1): the schemes a registry accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from squashproxy.registry.http.scanner import MOST_HEADER, SPACES, TOKEN, Scanner

_SEPARATORS = re.compile(r"[ \t\r\n,]*")
_UNQUOTED = re.compile(r'[^ \t\r\n,"]*')
_REST = re.compile(r"[^ \t\r\n,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One accepted scheme; its name and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the header, which may hold several challenges; unreadable parts are skipped."""
    scanner = Scanner(header[:MOST_HEADER])
    found: list[tuple[str, dict[str, str]]] = []
    scanner.match(_SEPARATORS)
    while not scanner.is_done():
        word = scanner.match(TOKEN).lower()
        if word:
            scanner.match(SPACES)
        if word and not scanner.is_at("="):
            found.append((word, {}))
        elif word and found:
            scanner.take("=")
            value = _value(scanner)
            if value is not None:
                found[-1][1][word] = value
        else:
            scanner.match(_REST)
        scanner.match(_SEPARATORS)
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def _value(scanner: Scanner) -> str | None:
    scanner.match(SPACES)
    return scanner.quoted() if scanner.is_at('"') else scanner.match(_UNQUOTED)
