"""An entry that leaves the tar for now: a hard link behind it may take its payload over."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.span import Kept


@dataclass(frozen=True, slots=True)
class DetachedEntry:
    """An entry that was put aside: the stretches of its payload, and what it was.

    `offset` and `span_size` are those of the entry in its stream, in bytes; `size` is its payload.
    """

    ordinal: int
    offset: int
    path: bytes
    header: bytes
    size: int
    span_size: int
    payload: list[Kept]
