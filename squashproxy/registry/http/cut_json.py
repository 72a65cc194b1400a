"""JSON that ends in its middle: the trace of a broken connection that nothing else shows."""

from __future__ import annotations

import json
import re

_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*'
_STRINGS = re.compile(_TEXT + rb'"|(' + _TEXT + rb"\\?\Z)", re.DOTALL)
"""A string; or one that is not closed, as a group, so that none is tried twice."""

_OPENED = re.compile(rb"[\[{]")
_CLOSED = re.compile(rb"[\]}]")
_WHITE = b" \t\r\n"


def is_cut_json(body: bytes) -> bool:
    """Whether a body begins as a JSON object or list and ends before it is closed.

    An empty body counts as well. In linear time; what is no JSON for another reason is not cut.
    """
    text = body.lstrip(_WHITE)
    if not text:
        return True
    if text[:1] not in (b"{", b"["):
        return False
    rest = _STRINGS.sub(lambda string: b'"' if string[1] else b"", text)
    is_open = b'"' in rest or len(_OPENED.findall(rest)) > len(_CLOSED.findall(rest))
    return is_open and not _is_json(text)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
