"""JSON and base64 as signed documents need them: one meaning, or none.

Parsers differ about a key that stands twice and about sloppy base64. Two programs could then see
different things in one signed text, so both are refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

_DEEPEST = 32
"""Levels of lists and objects; a signed document has about six."""


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data` (UTF-8).

    Raises ValueError with the reason: no JSON, no object, a key twice, NaN, or nested too deep.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if _depth(text) > _DEEPEST:
        raise ValueError("it is nested too deep")
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except json.JSONDecodeError:
        raise ValueError("it is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - parsers of values raise this
    return document


def decode_base64(text: object) -> bytes:
    """The bytes of standard base64 with its padding (RFC 4648, section 4).

    Raises ValueError for anything else, bits beyond the last byte included.
    """
    if not isinstance(text, str):
        raise ValueError("it is no text")  # noqa: TRY004 - parsers of values raise this
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no base64") from None
    if encode_base64(data) != text:
        raise ValueError("it is base64 with stray bits")
    return data


def encode_base64(data: bytes) -> str:
    """Standard base64 with its padding."""
    return base64.b64encode(data).decode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _depth(text: str) -> int:
    """The deepest nesting, without parsing; brackets in strings do not count."""
    depth = deepest = 0
    in_string = is_escaped = False
    for char in text:
        if in_string:
            in_string = is_escaped or char != '"'
            is_escaped = char == "\\" and not is_escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest
