"""Byte ranges of downloads (RFC 9110, section 14) and of uploads (distribution specification)."""

from __future__ import annotations

import re

from squashproxy.testing.answers import Code, Refusal

_DOWNLOAD = re.compile(r"bytes=(\d*)-(\d*)")
_UPLOAD = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/(?:\d+|\*))?")


def parse_download_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte of a range and the byte after its last; None if the whole is asked for.

    A header with several ranges is ignored, as RFC 9110 allows. Raises Refusal (416) for a range
    without a byte.
    """
    match = _DOWNLOAD.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    if match[1]:
        start, stop = int(match[1]), min(int(match[2] or size), size - 1) + 1
    else:
        start, stop = max(size - int(match[2]), 0), size
    if start >= stop:
        headers = (("Content-Range", f"bytes */{size}"),)
        raise Refusal(Code.RANGE_INVALID, f"there are only {size} bytes", headers=headers)
    return start, stop


def parse_upload_range(header: str) -> tuple[int, int]:
    """Parse `START-END`, both inclusive, into the first byte and the byte after the last."""
    match = _UPLOAD.fullmatch(header.strip())
    if match is None:
        raise Refusal(Code.RANGE_INVALID, f"Content-Range {header!r} is no range", status=400)
    return int(match[1]), int(match[2]) + 1
