"""The WWW-Authenticate header (RFC 9110, section 11.6.1): which proofs a registry accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME = re.compile(rf"({_WORD})(?=\s|,|$)")
_SEPARATORS = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One proof that is accepted; scheme and parameter names are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the header, which may hold several challenges; what cannot be read is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(header):
        if separator := _SEPARATORS.match(header, position):
            position = separator.end()
        elif found and (parameter := _PARAMETER.match(header, position)):
            found[-1][1][parameter[1].lower()] = _value_of(parameter)
            position = parameter.end()
        elif scheme := _SCHEME.match(header, position):
            found.append((scheme[1].lower(), {}))
            position = scheme.end()
        else:
            position += 1
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def _value_of(parameter: re.Match[str]) -> str:
    if parameter[2] is None:
        return parameter[3]
    return re.sub(r"\\(.)", r"\1", parameter[2])
