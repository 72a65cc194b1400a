"""The tags of a repository, page by page (distribution specification, listing tags)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from requests.utils import parse_header_links

from squashproxy.errors import FormatError
from squashproxy.oci.manifest import parse_json_object
from squashproxy.reference import Repository
from squashproxy.registry.calls import Answer, Call, Caller
from squashproxy.registry.faults import Action
from squashproxy.registry.scopes import pull

_PAGE = 1000
_MAX_PAGE_BYTES = 64 << 20


def iter_tags(caller: Caller) -> Iterator[str]:
    """Every tag once, in the registry's order.

    The next page is where Link says; after a full page without Link, `last` is tried, since some
    registries know only that.
    """
    name = caller.repository
    path = f"/v2/{name.path}/tags/list?n={_PAGE}"
    url: str | None = caller.endpoint.url(path)
    seen: set[str] = set()
    while url is not None:
        answer = caller.ask(_call(url, name), _MAX_PAGE_BYTES)
        tags = _read(answer, name)
        new = [tag for tag in dict.fromkeys(tags) if tag not in seen]
        seen.update(new)
        yield from new
        url = _next_link(caller, answer)
        if url is None and len(tags) == _PAGE:
            url = caller.endpoint.url(f"{path}&last={quote(tags[-1], safe='')}")
        if not new:
            return


def _call(url: str, name: Repository) -> Call:
    action = Action(name, f"the list of tags of {name.path}")
    return Call("GET", url, action, pull(name.path), frozenset({200}))


def _read(answer: Answer, name: Repository) -> list[str]:
    where = f"the list of tags of {name}"
    if len(answer.body) > _MAX_PAGE_BYTES:
        raise FormatError(f"{where} is longer than {_MAX_PAGE_BYTES} bytes a page")
    tags = parse_json_object(answer.body, where).get("tags") or []
    if not isinstance(tags, list):
        raise FormatError(f"{where} holds no list")
    return [str(tag) for tag in tags]


def _next_link(caller: Caller, answer: Answer) -> str | None:
    for link in parse_header_links(answer.headers.get("Link", "")):
        if link.get("rel") == "next" and link.get("url"):
            return caller.endpoint.resolve(answer.url, link["url"])
    return None
