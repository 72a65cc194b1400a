"""What became of a request, for log and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

_KEY = "squashproxy.facts"


@dataclass(slots=True)
class Facts:
    """Filled in while a request is answered."""

    kind: str = "other"
    user: str = ""
    outcome: str = ""
    error: str = ""


def facts_of(request: web.BaseRequest) -> Facts:
    """The facts of a request, the same object each time."""
    found = request.get(_KEY)
    if not isinstance(found, Facts):
        found = request[_KEY] = Facts()
    return found
