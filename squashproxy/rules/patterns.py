"""Patterns for names: a glob, or a regular expression between slashes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from squashproxy.rules.expressions import Expression, compile_expression
from squashproxy.rules.globs import WILD, compile_glob

_MOST_NEAR = 3
_MOST_COMPARED = 1000
"""The most names to search for a similar one, which takes time."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that whole names are compared with; `*` matches slashes too, as in fnmatch."""

    text: str
    expression: Expression

    def matches(self, name: str) -> bool:
        """Whether a name matches. Takes time proportional to its length, whatever the pattern."""
        return self.expression.matches(name)

    @property
    def is_wild(self) -> bool:
        """Whether more than one name can match."""
        return self.is_expression or not WILD.isdisjoint(self.text)

    @property
    def is_expression(self) -> bool:
        """Whether it is a regular expression, not a glob."""
        return _is_expression(self.text)

    def __str__(self) -> str:
        return self.text


def parse_pattern(text: str) -> Pattern:
    """Parse a glob, or `/EXPRESSION/`. Raises ValueError."""
    if _is_expression(text):
        return Pattern(text, compile_expression(text[1:-1], text))
    return parse_glob(text)


def parse_glob(text: str) -> Pattern:
    """Parse a glob, even one between slashes. Raises ValueError where it is empty or too long."""
    return Pattern(text, compile_glob(text))


def parse_grouping(text: str) -> Expression:
    """Parse an expression whose first group sorts names. Raises ValueError."""
    found = compile_expression(text, text, captures=True)
    if not found.has_groups:
        raise ValueError(f"{text!r} has no group; put what sorts the tags in parentheses")
    return found


def matches_any(patterns: Iterable[Pattern], name: str) -> bool:
    """Whether any of the patterns matches the name."""
    return any(pattern.matches(name) for pattern in patterns)


def near_misses(patterns: Iterable[Pattern], names: Iterable[str]) -> list[str]:
    """Names that are similar to the patterns."""
    there = list(islice(names, _MOST_COMPARED))
    found: dict[str, None] = {}
    for pattern in patterns:
        plain = pattern.text.strip("/*?^$")
        found.update(dict.fromkeys(get_close_matches(plain, there, _MOST_NEAR, 0.4)))
    return list(found)[:_MOST_NEAR]


def unmatched(patterns: Iterable[Pattern], tags: Collection[str]) -> list[str]:
    """A sentence for each pattern that matches none of the tags; none where there are no tags."""
    return [
        f"{pattern} matches no tag; {meant(pattern, tags, f'there are {len(tags)}')}"
        for pattern in patterns
        if tags and not any(pattern.matches(tag) for tag in tags)
    ]


def meant(pattern: Pattern, names: Iterable[str], otherwise: str) -> str:
    """Advice for a pattern that matches nothing: similar names if there are any, or `otherwise`."""
    near = near_misses([pattern], names)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def _is_expression(text: str) -> bool:
    return len(text) > 1 and text.startswith("/") and text.endswith("/")
