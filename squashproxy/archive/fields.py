"""Number fields of plain headers, each form parsed once: the same few recur all over a layer."""

from __future__ import annotations

from zlib_ng import zlib_ng

from squashproxy.archive.header import parse_number

_MOST = 4096
"""Forms that are remembered; a layer with more is parsed as it comes."""

_ADLER = 65521
_SPACES = 8 * 0x20


def sum_of(header: memoryview) -> int:
    """The plain sum of a header's bytes, modulo 65521; the low half of Adler-32 is one more."""
    return (zlib_ng.adler32(header) - 1) & 0xFFFF


class Sums(dict[bytes, int]):
    """By checksum field: what `sum_of` gives for a header that holds it and is whole, or -1.

    A header's checksum counts the field itself as spaces (POSIX, pax).
    """

    def __missing__(self, field: bytes) -> int:
        try:
            found = (parse_number(field) - _SPACES + sum(field)) % _ADLER
        except ValueError:
            found = -1
        return _remember(self, field, found)


class Sizes(dict[bytes, int]):
    """By size field: the bytes of payload, or a negative number where that cannot be."""

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
