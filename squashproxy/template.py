"""Fills in templates such as `{tag}-{digest}`."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each word in braces by its value; `{{` and `}}` stand for braces.

    Only a word may be in braces: no attribute, no width. Raises ValueError for anything else, and
    for a word without a value.
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
