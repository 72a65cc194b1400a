"""Lists of tags, page by page (OCI distribution specification 1.1, listing tags)."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from squashproxy.decimals import parse_decimal
from squashproxy.oci.manifest import encode_json
from squashproxy.printable import quoted
from squashproxy.server.http.errors import ApiError

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """A page of tags; `next_path` is path and query of the next one, or None."""

    body: bytes
    next_path: str | None


def page_of(name: str, tags: Sequence[str], count: str | None, last: str | None) -> Page:
    """The page that `n` and `last` ask for, in lexical order.

    Raises ApiError for a count that is not a number.
    """
    most = _count(count)
    ordered = sorted(tags)
    start = bisect.bisect_right(ordered, last) if last is not None else 0
    found = ordered[start:][:most]
    next_path = None
    if found and start + len(found) < len(ordered):
        next_path = f"/v2/{name}/tags/list?n={most}&last={quote(found[-1], safe='')}"
    return Page(encode_json({"name": name, "tags": found}), next_path)


def _count(text: str | None) -> int:
    if text is None:
        return _MOST
    number = parse_decimal(text)
    if number is None:
        raise ApiError(400, "PAGINATION_NUMBER_INVALID", f"n={quoted(text)} is no number of tags")
    return min(number, _MOST)
