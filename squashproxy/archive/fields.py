"""Number fields of plain headers. Each form is parsed once, since a layer repeats the same few."""

from __future__ import annotations

from zlib_ng import zlib_ng

from squashproxy.archive.header import parse_number

_MOST = 4096
"""The most forms that are remembered; others are parsed each time."""

_ADLER = 65521
_SPACES = 8 * 0x20


def sum_of(header: memoryview) -> int:
    """The sum of a header's bytes modulo 65521; the low half of Adler-32 is one more."""
    return (zlib_ng.adler32(header) - 1) & 0xFFFF


class Sums(dict[bytes, int]):
    """Maps a checksum field to the `sum_of` of a valid header with it; -1 for an invalid field.

    A header's checksum counts the field itself as spaces (POSIX, pax).
    """

    def __missing__(self, field: bytes) -> int:
        try:
            found = (parse_number(field) - _SPACES + sum(field)) % _ADLER
        except ValueError:
            found = -1
        return _remember(self, field, found)


class Sizes(dict[bytes, int]):
    """Maps a size field to the bytes of payload; negative for an invalid field."""

    def __missing__(self, field: bytes) -> int:
        try:
            found = parse_number(field)
        except ValueError:
            found = -1
        return _remember(self, field, found)


def _remember(known: dict[bytes, int], field: bytes, found: int) -> int:
    if len(known) < _MOST:
        known[field] = found
    return found
