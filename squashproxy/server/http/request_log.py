"""The facts about a request that the access log and the metrics need."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True)
class Facts:
    """Filled in while a request is answered; `body` counts the bytes of its body."""

    kind: str = "other"
    user: str = ""
    outcome: str = ""
    error: str = ""
    body: int = 0


_KEY = web.RequestKey("squashproxy.facts", Facts)


def facts_of(request: web.BaseRequest) -> Facts:
    """The facts of a request, the same object each time."""
    found = request.get(_KEY)
    if found is None:
        found = request[_KEY] = Facts()
    return found
