"""Names as rules write them: a glob, or a regular expression between slashes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import translate

from squashproxy.errors import UsageError

_WILD = re.compile(r"[*?\[]")
_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class Pattern:
    """What names are compared with, whole; `*` matches slashes too, as in fnmatch."""

    text: str
    expression: re.Pattern[str]

    def matches(self, name: str) -> bool:
        """Whether a name is meant."""
        return self.expression.fullmatch(name) is not None

    @property
    def is_wild(self) -> bool:
        """Whether more than one name may be meant."""
        return _is_expression(self.text) or _WILD.search(self.text) is not None

    def __str__(self) -> str:
        return self.text


def parse_pattern(text: str) -> Pattern:
    """Read a glob, or `/EXPRESSION/`; raise UsageError where that is none."""
    if not text:
        raise UsageError("an empty pattern matches nothing; write * for every name")
    source = text[1:-1] if _is_expression(text) else translate(text)
    return Pattern(text, parse_expression(source, text))


def parse_expression(source: str, text: str | None = None) -> re.Pattern[str]:
    """Read a regular expression, written in a rule as `text`; raise UsageError."""
    try:
        return re.compile(source)
    except re.error as error:
        raise UsageError(
            f"{text or source!r} is no regular expression: {error}; mend it"
        ) from error


def matches_any(patterns: Iterable[Pattern], name: str) -> bool:
    """Whether any of the patterns means the name."""
    return any(pattern.matches(name) for pattern in patterns)


def near_misses(patterns: Iterable[Pattern], names: Iterable[str]) -> list[str]:
    """Names that the patterns may have been meant for."""
    there = list(names)
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
    """Advice for a pattern that matches nothing: names that are near, or what to say without."""
    near = near_misses([pattern], names)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def _is_expression(text: str) -> bool:
    return len(text) > 1 and text.startswith("/") and text.endswith("/")
