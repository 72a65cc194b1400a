"""Makes text from outside safe for terminals and short enough for sentences."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"((?:[a-z0-9+.-]+://)?[^:/]*):.*@(?![a-z0-9+._-]+:[0-9A-Fa-f]*$)", re.DOTALL)
"""A user, a password of any characters, and the last @ unless a digest follows it."""

_MOST_QUOTED = 100


def printable(text: str) -> str:
    """`text` with every character that is not printable escaped.

    These are control characters (ESC, line feeds, C1), separators, surrogates and marks of text
    direction: anything that could move a terminal's cursor or reorder its line.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def quoted(text: str, most: int = _MOST_QUOTED) -> str:
    """`text` escaped and in quotes; above `most` characters it is cut and its length given."""
    if len(text) <= most:
        return repr(text)
    return f"{text[:most]!r}... ({len(text)} characters)"


def masked(text: str) -> str:
    """A reference or an address, with the password of a login before it masked."""
    return _LOGIN.sub(r"\1:***@", text, count=1)
