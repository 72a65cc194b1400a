"""Harbor's own API (Harbor API v2.0).

It takes passwords; to it, a token of the registry's service is an anonymous user (harbor:
src/server/middleware/security/v2_token.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Json
from squashproxy.registry.auth.scopes import delete, pull
from squashproxy.registry.caller import Call, Caller
from squashproxy.registry.deletions import Deletion
from squashproxy.registry.http.error_responses import Action
from squashproxy.registry.manifests import check_selector
from squashproxy.registry.paging import Page, Pager, iter_entries

_DONE = frozenset({200, 202, 204})
_GONE = 404
_PAGE = 100
_MOST_DATE = 64


@dataclass(frozen=True, slots=True)
class Artifact:
    """What Harbor says of a manifest; dates are unparsed."""

    digest: Digest
    pushed: str | None
    pulled: str | None


def is_harbor(caller: Caller) -> bool:
    """Whether the registry is a Harbor."""
    action = Action(caller.repository, "the question whether this is a Harbor")
    url = caller.endpoint.url("/api/v2.0/ping")
    expected = frozenset(range(200, 500)) - {401, 429}
    scopes = pull(caller.repository.path)
    answer = caller.ask(Call("GET", url, action, scopes, expected, takes_pages=True))
    return answer.status == 200 and answer.body.strip() == b"Pong"


def delete_tag(caller: Caller, tag: str) -> Deletion:
    """Delete a tag and leave its manifest. Raises FormatError for an invalid tag."""
    name = caller.repository
    check_selector(name, tag)
    action = Action(name, f"the deletion of the tag {tag} from {name.path}", f"tag {tag}")
    url = caller.endpoint.url(f"{_place(caller)}/artifacts/{tag}/tags/{tag}")
    expected = _DONE | {_GONE}
    call = Call("DELETE", url, action, delete(name.path), expected, basic_only=True)
    answer = caller.ask(call)
    return Deletion.GONE if answer.status == _GONE else Deletion.DONE


def iter_artifacts(caller: Caller) -> Iterator[Artifact]:
    """The manifests of a repository, with the dates of their push and last pull."""
    name = caller.repository
    where = f"the list of artifacts of {name}"
    url = caller.endpoint.url(f"{_place(caller)}/artifacts?page_size={_PAGE}")
    action = Action(name, f"the list of artifacts of {name.path}")
    call = Call("GET", url, action, pull(name.path), frozenset({200}), basic_only=True)
    pages = Pager(caller, call, where)

    def read(page: Page) -> list[Any]:
        if isinstance(page.document, list):
            return page.document
        raise pages.wrong("is no list, so this is not the API that is known here", page.document)

    first = pages.ask(url)
    assert isinstance(first, Page), "every other answer is an error"
    for fields in iter_entries(pages, first, read):
        if not isinstance(fields, dict):
            raise pages.wrong("holds what is no artifact")
        yield _artifact(fields, where)


def _artifact(fields: Json, where: str) -> Artifact:
    try:
        digest = parse_digest(str(fields.get("digest")))
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from error
    return Artifact(digest, _date(fields.get("push_time")), _date(fields.get("pull_time")))


def _date(text: object) -> str | None:
    """A date as it is written; None where it is too long to be one."""
    return text if isinstance(text, str) and len(text) <= _MOST_DATE else None


def _place(caller: Caller) -> str:
    project, _, repository = caller.repository.path.partition("/")
    inner = quote(quote(repository, safe=""), safe="")
    return f"/api/v2.0/projects/{quote(project)}/repositories/{inner}"
