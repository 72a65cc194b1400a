"""Lists in pages (distribution specification, listing tags).

A list ends at a page that names no next one. An empty page does not end it, nor does a page whose
names were all seen before. Anything else than a list is an error, since cleanup relies on complete
lists. All limits on lists are in this module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from squashproxy.errors import FormatError, RegistryError
from squashproxy.printable import quoted
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.error_responses import text_of_errors
from squashproxy.registry.http.links import BadLink, next_target
from squashproxy.registry.http.web_pages import PAGE_ADVICE, is_page, page_fact

MOST_PAGES = 10_000
"""The most pages in a list."""

MOST_PAGE_BYTES = 32 << 20
"""The most bytes of memory for the text of a page; some registries send a whole list as one page.
"""

MOST_NAMES = 1_000_000
"""The most names in a list."""

MOST_VALUES = MOST_NAMES + 10_000
"""The most JSON values and keys in a page: `[],[],...` takes twenty times the memory of its bytes.
"""

MOST_NAME = 1024
"""The most characters in a name; tags have at most 128, repositories 255."""

MOST_NAME_BYTES = 64 << 20
"""The most bytes of memory for the names of a list."""

MOST_ENTRIES = 100_000
"""The most entries in a list of other things, such as referrers."""

MOST_ENTRY_BYTES = 16 << 20
"""The most bytes in all pages of a list whose entries are kept whole."""

_WIDE = 4
"""Bytes of memory for each character of a text that is not ASCII."""


@dataclass(frozen=True, slots=True)
class Page:
    """A JSON document, and the URL of the next page; None after the last."""

    document: Any
    next_url: str | None


_NO_JSON = "is not valid JSON"


class _Damaged(Exception):
    """A page that is no JSON at all; `error` says so."""

    def __init__(self, error: FormatError) -> None:
        super().__init__(error.fact)
        self.error = error


class Pager:
    """Requests the pages of one list, each once; `where` names the list in errors.

    `first` makes the first request, and with another URL the others. `most_bytes` limits a page,
    `most_in_all` all of them.
    """

    def __init__(
        self,
        caller: Caller,
        first: Call,
        where: str,
        *,
        most_bytes: int = MOST_PAGE_BYTES,
        most_in_all: int | None = None,
    ) -> None:
        self.where = where
        self._caller = caller
        self._first = first
        self._most_bytes = most_bytes
        self._most_in_all = most_in_all
        self._asked: set[bytes] = set()
        self._bytes = 0

    def was_asked(self, url: str) -> bool:
        """Whether a page was requested with this URL."""
        return _key(url) in self._asked

    def ask(self, url: str, others: frozenset[int] = frozenset()) -> Page | Answer:
        """The page at a URL, or the answer itself where its status is one of `others`.

        A page that is no JSON was cut or damaged on its way, and is asked for once more.
        """
        self._asked.add(_key(url))
        if len(self._asked) > MOST_PAGES:
            raise self.too_much(f"more than {MOST_PAGES} pages")
        expected = frozenset({200}) | others
        call = replace(self._first, url=url, expected=expected, takes_pages=True)
        before = self._bytes
        try:
            return self._ask(call)
        except _Damaged:
            self._bytes = before
        try:
            return self._ask(call)
        except _Damaged as damaged:
            raise damaged.error from damaged

    def _ask(self, call: Call) -> Page | Answer:
        answer = self._caller.ask(call, self._most_bytes)
        if answer.status != 200:
            return answer
        if is_page(answer.headers, answer.body):
            what = page_fact(self._caller.endpoint.name, answer.body)
            raise FormatError(f"{self.where} is not valid JSON: {what}", advice=PAGE_ADVICE)
        next_url = self._next_url(answer)
        self._check_size(answer.body)
        text = self._text(answer.body)
        del answer  # a body may be large, and is not needed beside its text
        return Page(self._parsed(text), next_url)

    def following(self, page: Page, *, stops_at_known: bool = False) -> Iterator[Page]:
        """The pages after a page.

        A page that was requested before is an error, or the end if `stops_at_known`.
        """
        while page.next_url is not None:
            if self.was_asked(page.next_url):
                if stops_at_known:
                    return
                raise self.wrong("leads in circles: a page names an earlier one as the next")
            page = self._next(page.next_url)
            yield page

    def list_in(self, page: Page, key: str) -> list[Any]:
        """The list under a key of a page; `null` stands for none, as Go writes an empty list.

        Raises FormatError for a page without one, or with errors beside it.
        """
        document = page.document
        if not isinstance(document, dict) or key not in document:
            raise self.wrong(f"has a page without {key!r}", document)
        if document.get("errors"):
            raise self.wrong("has a page that reports an error", document)
        found = [] if document[key] is None else document[key]
        if not isinstance(found, list):
            raise self.wrong(f"has a page whose {key!r} is no list")
        return found

    def wrong(self, what: str, document: object = None) -> FormatError:
        """The error for a page that is not a list, with what the registry sent instead."""
        said = text_of_errors(document)
        return FormatError(
            f"{self.where} {what}{(': ' if said else '')}{said}",
            advice="see what the registry, or a proxy before it, answers",
        )

    def too_much(self, what: str) -> FormatError:
        """The error for a list that exceeds a limit."""
        return FormatError(
            f"{self.where} has {what}, which is more than is read of one list",
            advice="see what the registry, or a proxy before it, answers",
        )

    def _next(self, url: str) -> Page:
        found = self.ask(url, frozenset({404}))
        if isinstance(found, Page):
            return found
        raise RegistryError(
            f"{self.where} is cut short: the next page that it names is not there (HTTP 404)",
            advice="try again",
            status=found.status,
        )

    def _next_url(self, answer: Answer) -> str | None:
        header = answer.headers.get("Link", "")
        try:
            target = next_target(header)
        except BadLink as error:
            raise FormatError(
                f"{self.where} has a Link header that cannot be read, so it is not known whether "
                f"it ends here: {error}: {quoted(header)}",
                advice="see what the registry, or a proxy before it, answers",
            ) from error
        if target is None:
            return None
        return self._caller.endpoint.resolve(answer.url, target, "Link")

    def _check_size(self, body: bytes) -> None:
        """Refuse a page that would take too much memory, before it is parsed."""
        self._bytes += len(body)
        if self._most_in_all is not None and self._bytes > self._most_in_all:
            raise self.too_much(f"more than {self._most_in_all} bytes")
        is_narrow = body.isascii() and b"\\u" not in body
        most = min(self._most_bytes, MOST_PAGE_BYTES if is_narrow else MOST_PAGE_BYTES // _WIDE)
        if len(body) > most:
            raise self.too_much(f"a page of more than {most} bytes")
        if sum(map(body.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
            raise self.too_much(f"a page of more than {MOST_VALUES} values")

    def _text(self, body: bytes) -> str:
        try:
            return body.decode(json.detect_encoding(body), "surrogatepass")
        except ValueError as error:
            raise _Damaged(self.wrong(_NO_JSON)) from error

    def _parsed(self, text: str) -> object:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise _Damaged(self.wrong(_NO_JSON)) from error
        except (ValueError, RecursionError) as error:  # a number too long, or nested too deeply
            raise self.wrong(_NO_JSON) from error


def iter_entries(pages: Pager, first: Page, read: Callable[[Page], list[Any]]) -> Iterator[Any]:
    """The entries of a page and of those behind it, as `read` finds them; up to MOST_ENTRIES."""
    count = 0
    for page in chain((first,), pages.following(first)):
        entries = read(page)
        count += len(entries)
        if count > MOST_ENTRIES:
            raise pages.too_much(f"more than {MOST_ENTRIES} entries")
        yield from entries


def _key(url: str) -> bytes:
    """A short key of a URL to remember, since there may be many long ones."""
    return hashlib.sha256(url.encode()).digest()
