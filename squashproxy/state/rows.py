"""Rows of the state, checked: somebody may have written anything into the file.

A damaged row is left out, with a warning; it costs what is known of one image.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import FormatError

_LOGGER = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def read_rows(
    rows: Iterable[tuple[Any, ...]], read: Callable[..., _Result], what: str
) -> list[_Result]:
    """What `read` makes of each row; rows for which it raises ValueError, TypeError, KeyError or
    FormatError are left out. `what` names them in the warning.
    """
    found: list[_Result] = []
    damaged = 0
    for row in rows:
        try:
            found.append(read(*row))
        except (ValueError, TypeError, KeyError, FormatError):
            damaged += 1
    if damaged:
        _LOGGER.warning("%d of the %s in the state cannot be read; ignored", damaged, what)
    return found


def text(value: object) -> str:
    """A value that has to be a text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def digest(value: object) -> Digest:
    """A value that has to be a digest. Raises TypeError and FormatError."""
    return parse_digest(text(value))


def number(value: object) -> float:
    """A value that has to be a number. Raises TypeError."""
    if not isinstance(value, (int, float)):
        raise TypeError("no number")
    return value
