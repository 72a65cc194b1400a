"""Lists that registries hand out page by page (distribution specification, listing tags)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Json
from squashproxy.oci.manifest import parse_json_object
from squashproxy.registry.calls import Answer, Call, Caller
from squashproxy.registry.faults import Action
from squashproxy.registry.scopes import Scopes

_PAGE = 1000
_MAX_PAGE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: its place, its key there, what it is called, also with its host, who may read it."""

    path: str
    key: str
    what: str
    where: str
    scopes: Scopes

    def read(self, document: Json) -> list[Any]:
        """The list in a page."""
        items = document.get(self.key) or []
        if not isinstance(items, list):
            raise FormatError(f"{self.where} holds no list")
        return items


def iter_pages(caller: Caller, listing: Listing) -> Iterator[Json]:
    """The documents of all pages; one whose names all came before is the last.

    The next page is where Link says; after a full page without Link, `last` is tried, since some
    registries know only that.
    """
    path = f"{listing.path}?n={_PAGE}"
    url: str | None = caller.endpoint.url(path)
    seen: set[str] = set()
    while url is not None:
        answer = caller.ask(_call(url, caller, listing), _MAX_PAGE_BYTES)
        document = _document(answer, listing)
        names = [str(name) for name in listing.read(document)]
        yield document
        url = _next_page(caller, answer)
        if url is None and len(names) == _PAGE:
            url = caller.endpoint.url(f"{path}&last={quote(names[-1], safe='')}")
        if seen.issuperset(names):
            return
        seen.update(names)


def iter_names(caller: Caller, listing: Listing) -> Iterator[str]:
    """Every name once, in the registry's order."""
    seen: set[str] = set()
    for document in iter_pages(caller, listing):
        names = map(str, listing.read(document))
        new = [name for name in dict.fromkeys(names) if name not in seen]
        seen.update(new)
        yield from new


def iter_linked(caller: Caller, first: Call, limit: int) -> Iterator[Answer]:
    """The answer to a call, and to the same for each further page that Link names.

    Of each, one byte more than `limit` is kept.
    """
    url: str | None = first.url
    while url is not None:
        answer = caller.ask(replace(first, url=url), limit)
        yield answer
        url = _next_page(caller, answer)


def _next_page(caller: Caller, answer: Answer) -> str | None:
    """Where the next page is, None after the last."""
    header = answer.headers.get("Link")
    if not header:
        return None
    from requests.utils import parse_header_links  # noqa: PLC0415 - most lists have one page

    for link in parse_header_links(header):
        if link.get("rel") == "next" and link.get("url"):
            return caller.endpoint.resolve(answer.url, link["url"])
    return None


def _call(url: str, caller: Caller, listing: Listing) -> Call:
    action = Action(caller.repository, listing.what)
    return Call("GET", url, action, listing.scopes, frozenset({200}))


def _document(answer: Answer, listing: Listing) -> Json:
    if len(answer.body) > _MAX_PAGE_BYTES:
        raise FormatError(f"{listing.where} is longer than {_MAX_PAGE_BYTES} bytes a page")
    return parse_json_object(answer.body, listing.where)
