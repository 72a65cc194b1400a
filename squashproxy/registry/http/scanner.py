"""A scanner for structured header fields (RFC 9110, section 5.6), linear in their length.

A pattern that is searched for, or tried at each position in turn, can take the square of the
length. Here each pattern is tried at one position only, and what follows begins behind its match.
"""

from __future__ import annotations

import re

MOST_HEADER = 64 << 10
"""Characters of a field that are read; a line of HTTP is no longer here."""

SPACES = re.compile(r"[ \t\r\n]*")
"""Blanks, and the line breaks of folded fields."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Scanner:
    """A position in a text, and what stands there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._text)

    def stands(self, character: str) -> bool:
        """Whether this character comes next."""
        return self._text.startswith(character, self._at)

    def take(self, character: str) -> bool:
        """Pass this character if it comes next."""
        found = self.stands(character)
        self._at += found
        return found

    def match(self, pattern: re.Pattern[str]) -> str:
        """Pass what matches here, and return it; empty where nothing does."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def quoted(self) -> str | None:
        """Pass a quoted string, and return it unescaped.

        Where its second quote is missing: None, and all that is left is passed.
        """
        match = _QUOTED.match(self._text, self._at)
        if match is None:
            self._at = len(self._text)
            return None
        self._at = match.end()
        return _ESCAPE.sub(r"\1", match[1])
