"""Range headers (RFC 9110, section 14): one range of bytes, as resuming clients send it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """`length` bytes from `start`; `is_partial` if a range was asked for."""

    start: int
    length: int
    is_partial: bool


def find_part(header: str | None, size: int) -> Part | None:
    """The part of `size` bytes that a Range header asks for; None if it is outside of them.

    Headers other than a single range of bytes are ignored, as RFC 9110 allows: all is sent.
    """
    match = _ONE.fullmatch(header.strip()) if header else None
    if match is None:
        return Part(0, size, is_partial=False)
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        return Part(size - length, length, is_partial=True) if length else None
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if start >= size:
        return None
    if end < start:
        return Part(0, size, is_partial=False)
    return Part(start, end - start + 1, is_partial=True)
