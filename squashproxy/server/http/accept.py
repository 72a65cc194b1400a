"""Accept headers (RFC 9110, section 12.5.1), as clients of registries send them."""

from __future__ import annotations

from functools import lru_cache

_ANYTHING = frozenset({"*/*", "application/*"})


_MOST_REMEMBERED = 1024
"""Characters of a header that is remembered; clients send a few hundred."""


def accepts(header: str | None, media_type: str) -> bool:
    """Whether a client accepts a media type; without a header it accepts all.

    Clients name each type that they know, without weights; `q=0` is the only one looked at.
    """
    if header is None or not header.strip():
        return True
    look = _known_to_accept if len(header) <= _MOST_REMEMBERED else _accepts
    return look(header, media_type)


def _accepts(header: str, media_type: str) -> bool:
    for part in header.split(","):
        kind, _, parameters = part.partition(";")
        name = kind.strip().lower()
        if (name == media_type or name in _ANYTHING) and "q=0" not in _last(parameters):
            return True
    return False


_known_to_accept = lru_cache(1024)(_accepts)


def _last(parameters: str) -> list[str]:
    return [text.strip().removesuffix(".0").removesuffix(".00") for text in parameters.split(";")]
