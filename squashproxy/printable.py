"""Makes text from outside safe for terminals and short enough for sentences."""

from __future__ import annotations

_MOST_QUOTED = 100
_DIGESTS = ("sha256:", "sha512:")


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


def has_login(text: str) -> bool:
    """Whether a name or URL holds `user:password@`, as in `user:password@host/repo`."""
    return masked(text) != text


def masked(text: str) -> str:
    """A name or URL whose `user:password@` is replaced by `***@`.

    The tag before the digest of a reference, as in `host:5000/app:1@sha256:HEX`, is none.
    """
    head, at, tail = text.rpartition("@")
    if tail.startswith(_DIGESTS):
        return f"{masked(head)}@{tail}"
    scheme, slashes, login = head.rpartition("://")
    is_path = "/" in login and "/" not in tail
    if not at or ":" not in login or is_path:
        return text
    return f"{scheme}{slashes}***@{tail}"
