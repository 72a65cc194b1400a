"""A scanner for structured header fields (RFC 9110, section 5.6), in linear time.

Searching a pattern, or trying it at each position, can take quadratic time. Here each pattern is
tried at one position, and scanning continues after its match.
"""

from __future__ import annotations

import re

MOST_HEADER = 64 << 10
"""Characters of a field that are read; http.client accepts no longer line."""

SPACES = re.compile(r"[ \t\r\n]*")
"""Blanks, and line breaks of folded fields."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Scanner:
    """A text with a reading position."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def is_done(self) -> bool:
        """Whether the end is reached."""
        return self._at >= len(self._text)

    def is_at(self, character: str) -> bool:
        """Whether this character comes next."""
        return self._text.startswith(character, self._at)

    def take(self, character: str) -> bool:
        """Skip this character if it comes next; returns whether it did."""
        found = self.is_at(character)
        self._at += found
        return found

    def match(self, pattern: re.Pattern[str]) -> str:
        """Read what matches here; empty if nothing does."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def quoted(self) -> str | None:
        """Read a quoted string and unescape it.

        Without a closing quote: skip to the end and return None.
        """
        match = _QUOTED.match(self._text, self._at)
        if match is None:
            self._at = len(self._text)
            return None
        self._at = match.end()
        return _ESCAPE.sub(r"\1", match[1])
