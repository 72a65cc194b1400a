"""Text from elsewhere, made safe for terminals and short enough for sentences."""

from __future__ import annotations

_MOST_QUOTED = 100


def printable(text: str) -> str:
    """`text` with every character that is not printable written as an escape.

    Escaped are control characters (ESC, line feeds, C1), separators, surrogates, and whatever
    turns the direction of text: all that could move a terminal's cursor or reorder its line.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def quoted(text: str, most: int = _MOST_QUOTED) -> str:
    """`text` in quotes for a sentence: escaped, and above `most` characters cut and counted."""
    if len(text) <= most:
        return repr(text)
    return f"{text[:most]!r}... ({len(text)} characters)"
