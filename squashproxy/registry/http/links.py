"""The Link header (RFC 8288, section 3), which names the next page of a list.

Cleanup deletes by lists, so a list must be complete. A header that cannot be read is therefore an
error, never the end of the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from squashproxy.registry.http.scanner import MOST_HEADER, SPACES, TOKEN, Scanner

_NEXT = "next"
_SEPARATORS = re.compile(r"[ \t\r\n,]*")
_TARGET = re.compile(r"[^<>]*")
_UNQUOTED = re.compile(r'[^ \t\r\n,;"<>]*')
_RELATION = re.compile(r"[a-z][a-z0-9.-]*|[a-z][a-z0-9+.-]*:\S+")


class BadLink(ValueError):
    """A Link header that cannot be read; its text says why, as part of a sentence."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link's target as written, and its relation types in lower case."""

    target: str
    relations: frozenset[str]


def next_target(header: str) -> str | None:
    """The target of the link with `rel="next"`, None without one. Raises BadLink."""
    targets = {link.target for link in parse_links(header) if _NEXT in link.relations}
    if len(targets) > 1:
        raise BadLink("it names several next pages")
    return next(iter(targets), None)


def parse_links(header: str) -> tuple[Link, ...]:
    """Every link of a header, or of several headers joined by commas. Raises BadLink."""
    if len(header) > MOST_HEADER:
        raise BadLink(f"it has more than {MOST_HEADER} characters")
    return tuple(_iter_links(Scanner(header)))


def _iter_links(scanner: Scanner) -> Iterator[Link]:
    scanner.match(_SEPARATORS)
    while not scanner.is_done():
        if not scanner.take("<"):
            raise BadLink("a link in it does not begin with <")
        target = scanner.match(_TARGET)
        if not scanner.take(">"):
            raise BadLink("a link in it does not end with >")
        yield Link(target, _read_relations(scanner))
        if not scanner.is_done() and not scanner.take(","):
            raise BadLink("a link in it is followed by something that is no parameter")
        scanner.match(_SEPARATORS)


def _read_relations(scanner: Scanner) -> frozenset[str]:
    """Read a link's parameters; only the first `rel` counts (section 3.3)."""
    relations: frozenset[str] | None = None
    scanner.match(SPACES)
    while scanner.take(";"):
        scanner.match(SPACES)
        name = scanner.match(TOKEN).lower()
        value = _read_value(scanner)
        if name == "rel" and relations is None:
            relations = frozenset(value.lower().split())
        scanner.match(SPACES)
    if not relations:
        raise BadLink("a link in it has no rel")
    if not all(map(_RELATION.fullmatch, relations)):
        raise BadLink("the rel of a link in it names no relation")
    return relations


def _read_value(scanner: Scanner) -> str:
    scanner.match(SPACES)
    if not scanner.take("="):
        return ""
    scanner.match(SPACES)
    if not scanner.is_at('"'):
        return scanner.match(_UNQUOTED)
    value = scanner.quoted()
    if value is None:
        raise BadLink("a quote in it is not closed")
    return value
