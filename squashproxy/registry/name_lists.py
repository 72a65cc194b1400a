"""Lists of names: the tags of a repository, the repositories of a registry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Json
from squashproxy.registry.auth.scopes import Scopes
from squashproxy.registry.caller import Call, Caller
from squashproxy.registry.http.error_responses import Action
from squashproxy.registry.paging import MOST_NAME, MOST_NAME_BYTES, MOST_NAMES, Page, Pager

_PAGE = 1000
_SIZE_REFUSED = frozenset({400, 422})
"""distribution 2.8 and 3 answer 400 to an `n` above their `maxentries`."""

_LAST_REFUSED = frozenset({400, 404, 405, 422, 501})
"""The status codes of registries that do not know `last`."""


@dataclass(frozen=True, slots=True)
class NameList:
    """A list of names: its path, its key in the JSON, its names in messages, and its scopes."""

    path: str
    key: str
    what: str
    where: str
    scopes: Scopes


@dataclass(frozen=True, slots=True)
class NameListPage:
    """A page: its document, the number of its names, the new ones, and whether it has others."""

    document: Json
    count: int
    new: list[str]
    repeats: bool


class NameListReader:
    """Reads a whole list of names.

    Some registries cut their lists short without naming a next page. So after the last page, one
    more request asks for the names after the last name. Nothing else tells a complete list from one
    that was cut short. Only an empty list, which has no last name, and a page that was requested
    before need no such request.

    A registry that cuts its lists and does not know the question for the names after the last one
    cannot be read whole. It is noticed by a last page of exactly the size asked for.
    """

    def __init__(self, caller: Caller, listing: NameList) -> None:
        self._caller = caller
        self._listing = listing
        action = Action(caller.repository, listing.what)
        url = caller.endpoint.url(listing.path)
        first = Call("GET", url, action, listing.scopes, frozenset({200}))
        self._pages = Pager(caller, first, listing.where)
        self._sized = True
        self._names: dict[str, None] = {}
        self._bytes = 0

    def iter_names(self) -> Iterator[str]:
        """Every name once, in the registry's order. Raises RegistryError and FormatError."""
        for page in self.iter_pages():
            yield from page.new

    def iter_pages(self) -> Iterator[NameListPage]:
        """Every page. Raises RegistryError and FormatError."""
        first = self._first_page()
        last = self._read(first)
        yield last
        for page in self._pages.following(first):
            last = self._read(page)
            yield last
        may_be_cut = self._sized and last.count == _PAGE
        before = 0
        while len(self._names) > before:
            before = len(self._names)
            yield from self._iter_behind(next(reversed(self._names)), may_be_cut=may_be_cut)

    def hold(self, size: int) -> None:
        """Count `size` bytes of memory for a name. Raises FormatError for too many in all."""
        self._bytes += size
        if self._bytes > MOST_NAME_BYTES:
            raise self._pages.too_much(f"more than {MOST_NAME_BYTES} bytes of names")

    def _first_page(self) -> Page:
        """The first page; requested again without a page size if the registry refuses ours."""
        found = self._pages.ask(self._url(), _SIZE_REFUSED)
        if isinstance(found, Page):
            return found
        self._sized = False
        found = self._pages.ask(self._url())
        assert isinstance(found, Page), "every other answer is an error"
        return found

    def _iter_behind(self, last: str, *, may_be_cut: bool) -> Iterator[NameListPage]:
        """The pages after a name; none if there are none, or the registry does not know `last`.

        A registry that ignores `last` begins again; reading stops at a page requested before.
        Raises FormatError where a list that `may_be_cut` cannot be gone on with.
        """
        url = self._url(last)
        if self._pages.was_asked(url):
            return
        found = self._pages.ask(url, _LAST_REFUSED)
        if not isinstance(found, Page):
            if may_be_cut:
                raise self._maybe_cut()
            return
        first = self._read(found)
        if may_be_cut and first.repeats and not first.new and found.next_url is None:
            raise self._maybe_cut()
        yield first
        for page in self._pages.following(found, stops_at_known=first.repeats):
            yield self._read(page)

    def _maybe_cut(self) -> FormatError:
        return self._pages.wrong(
            f"may be cut short: it ends after a full page of {_PAGE}, and the registry does not "
            "say what follows the last name"
        )

    def _url(self, last: str | None = None) -> str:
        query = [f"n={_PAGE}"] if self._sized else []
        if last is not None:
            query.append(f"last={quote(last, safe='', errors='surrogatepass')}")
        mark = "?" if query else ""
        return self._caller.endpoint.url(f"{self._listing.path}{mark}{'&'.join(query)}")

    def _read(self, page: Page) -> NameListPage:
        listed = self._listed(page)
        new = []
        for name in listed:
            if name not in self._names:
                self._names[name] = None
                new.append(name)
        if len(self._names) > MOST_NAMES:
            raise self._pages.too_much(f"more than {MOST_NAMES} names")
        self.hold(sum(map(sys.getsizeof, new)))
        return NameListPage(page.document, len(listed), new, repeats=len(new) < len(listed))

    def _listed(self, page: Page) -> list[str]:
        names = self._pages.list_in(page, self._listing.key)
        if not all(isinstance(name, str) for name in names):
            raise self._pages.wrong("holds what is no name")
        if any(len(name) > MOST_NAME for name in names):
            raise self._pages.wrong(f"holds a name of more than {MOST_NAME} characters")
        return names
