"""Texts with words in braces, such as `{tag}-{digest}`, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with the value of each word; `{{` and `}}` are braces.

    Nothing but a word may stand in braces: no attribute, no width. Raises ValueError.
    """
    parts: list[str] = []
    for literal, word, layout, conversion in Formatter().parse(template):
        parts.append(literal)
        if word is None:
            continue
        if word not in values or layout or conversion:
            raise ValueError(f"{word!r} cannot stand in braces")
        parts.append(values[word])
    return "".join(parts)
