"""The files of the page, as they are sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_SELF = "squashproxy.server.page"
_REPORT = "squashproxy.report.page"
_SCRIPT = "text/javascript; charset=utf-8"
_STYLE = "text/css; charset=utf-8"
_PLACES = {
    "/": (_SELF, "index.html", "text/html; charset=utf-8"),
    "/assets/colors.css": (_REPORT, "colors.css", _STYLE),
    "/assets/page.css": (_SELF, "page.css", _STYLE),
    "/assets/page.js": (_SELF, "script/page.js", _SCRIPT),
    "/assets/status.js": (_SELF, "script/status.js", _SCRIPT),
    "/assets/words.js": (_SELF, "script/words.js", _SCRIPT),
    "/assets/parts.js": (_SELF, "script/parts.js", _SCRIPT),
    "/assets/fleet.js": (_SELF, "script/fleet.js", _SCRIPT),
    "/assets/images.js": (_SELF, "script/images.js", _SCRIPT),
    "/assets/charts.js": (_SELF, "script/charts.js", _SCRIPT),
    "/assets/svg.js": (_REPORT, "script/svg.js", _SCRIPT),
}

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: only the page's own files are allowed, and no inline style."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file; `etag` changes with it."""

    body: bytes
    media_type: str
    etag: str


@cache
def find_asset(path: str) -> Asset | None:
    """The file at a path of the server, or None."""
    place = _PLACES.get(path)
    if place is None:
        return None
    package, name, media_type = place
    body = files(package).joinpath(name).read_bytes()
    return Asset(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
