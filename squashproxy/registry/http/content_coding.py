"""Content-Encoding (RFC 9110, section 8.4): bodies that something packed on their way.

Every request asks for `identity`, but some proxies compress all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from squashproxy.errors import BadCompression, RegistryError
from squashproxy.registry.http.network_errors import cut_error
from squashproxy.streams import CHUNK

_GZIP = ("gzip", "x-gzip")
_DEFLATE = "deflate"
_ZSTD = "zstd"
_OTHER = frozenset({"br", "compress", "x-compress", "dcb", "dcz"})
_ZLIB_METHOD = 8
_ZLIB_CHECK = 31
_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", _ZSTD: b"\x28\xb5\x2f\xfd"}


def codings_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The codings to undo, the outermost first.

    What is no coding at all, such as the `aws-chunked` or `utf-8` of some stores, is left out.
    """
    words = [word.strip().lower() for word in headers.get("Content-Encoding", "").split(",")]
    known = (*_GZIP, _DEFLATE, _ZSTD, *_OTHER)
    return tuple(word for word in reversed(words) if word in known)


def iter_decoded(
    pieces: Iterable[bytes], codings: tuple[str, ...], host: str, what: str
) -> Iterator[bytes]:
    """A body without its codings, in chunks of at most 256 KiB.

    A body that does not begin as its coding does was never packed, and is left as it is. Raises
    Unreachable for one that ends in its middle, and RegistryError for one that is damaged before
    its end, or in a coding that squashproxy does not know.
    """
    for coding in codings:
        pieces = _without(pieces, coding, host, what)
    return iter(pieces)


def _without(pieces: Iterable[bytes], coding: str, host: str, what: str) -> Iterator[bytes]:
    if coding in _OTHER:
        raise RegistryError(
            f"{host} sent {what} in the encoding {coding!r}, although asked for none",
            advice="let the proxy before it send registry answers as they are",
        )
    source = _Pieces(iter(pieces))
    start = b""
    for piece in source:
        start += piece
        if len(start) >= len(_MAGIC[_ZSTD]):
            break
    whole = chain((start,), source) if start else source
    if not _begins_as(coding, start):
        yield from whole
        return
    try:
        yield from _inflated(whole, coding, f"{what}, as {host} sent it")
    except (BadCompression, zlib.error) as error:
        if source.is_over:
            raise cut_error(host, what) from error
        reason = error.fact if isinstance(error, BadCompression) else str(error)
        raise RegistryError(
            f"{host} sent {what} in the encoding {coding!r}, which cannot be undone: {reason}",
            advice="see what it, or a proxy before it, answers",
        ) from error


class _Pieces:
    """The pieces of a body; `is_over` when all of them were taken."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self.is_over = True
            raise


def _begins_as(coding: str, start: bytes) -> bool:
    if coding == _DEFLATE:  # zlib's header (RFC 1950, section 2.2); bare deflate has none
        is_zlib = len(start) > 1 and start[0] & 15 == _ZLIB_METHOD
        return is_zlib and int.from_bytes(start[:2]) % _ZLIB_CHECK == 0
    return start.startswith(_MAGIC[coding])


def _inflated(pieces: Iterable[bytes], coding: str, where: str) -> Iterator[bytes]:
    from squashproxy.codec import gzip, zstd  # noqa: PLC0415 - few answers are packed

    if coding in _GZIP:
        return gzip.iter_inflated(pieces, where)
    if coding == _ZSTD:
        return zstd.iter_inflated(pieces, where)
    return _iter_zlib(pieces)


def _iter_zlib(pieces: Iterable[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    for piece in pieces:
        rest = piece
        while rest and not inflater.eof:
            yield inflater.decompress(rest, CHUNK)
            rest = inflater.unconsumed_tail
    if not inflater.eof:
        raise zlib.error("it is cut short")
