"""An entry taken out of the tar for now: a later hard link may take over its payload."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.span import Kept


@dataclass(frozen=True, slots=True)
class DetachedEntry:
    """A hidden entry that was set aside, with the spans of its payload.

    `offset` and `span_size` are those of the entry in its stream; `size` is that of its payload.
    All in bytes.
    """

    ordinal: int
    offset: int
    path: bytes
    header: bytes
    size: int
    span_size: int
    payload: list[Kept]
