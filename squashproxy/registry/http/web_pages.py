"""Web pages in place of a registry's answers: a login or a proxy is before it.

The content type alone does not tell: some registries (Quay) label empty answers `text/html`.
"""

from __future__ import annotations

from collections.abc import Mapping

from squashproxy.errors import RegistryError
from squashproxy.printable import quoted

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_STARTS = (b"<!doctype html", b"<html")
_LOOKED_AT = 1 << 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_SHOWN = 100
PAGE_ADVICE = "a login or a proxy is before it"


def is_page_type(headers: Mapping[str, str]) -> bool:
    """Whether an answer says that it is a web page."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGE_TYPES


def is_page(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer is a web page; JSON never begins as one."""
    start = body[:_LOOKED_AT].removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    return start.startswith(_STARTS) or (is_page_type(headers) and start.startswith(b"<"))


def page_error(host: str, action: str, body: bytes) -> RegistryError:
    """The error for a page; `action` is what was asked, as in "the push to apps/web"."""
    return RegistryError(f"{action} failed: {page_fact(host, body)}", advice=PAGE_ADVICE)


def page_fact(host: str, body: bytes) -> str:
    """What is wrong, as part of a sentence."""
    title = " ".join(title_of(body.decode(errors="replace")).split())
    shown = f" ({quoted(title, _MOST_SHOWN)})" if title else ""
    return f"{host} answered with a web page{shown}, not as a registry does"


def title_of(page: str) -> str:
    """The title of a web page; a regular expression could take quadratic time here."""
    lower = page.lower()
    tag = lower.find("<title")
    start = lower.find(">", tag) + 1 if tag >= 0 else 0
    end = lower.find("</title", start)
    return page[start:end] if start and end >= 0 else ""
