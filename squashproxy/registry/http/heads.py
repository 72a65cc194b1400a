"""Connections that read the heads of responses completely and within bounds.

http.client bounds the length of lines and the number of fields, but not the number of interim
`100 Continue` responses and trailers: a server could send them for ever. It also accepts a head
that a closed connection cut short, so half a Location would be followed.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_MOST_LINES = 1000
"""Lines of one head, interim responses included, or of the trailers after a body."""

_MOST_LINE = 65536
"""The longest line that http.client accepts; it reports longer ones itself."""


class _Lines:
    """Stands in for a connection's file while lines are read from it."""

    __slots__ = ("_count", "_file")

    def __init__(self, file: Any) -> None:
        self._file = file
        self._count = 0

    def readline(self, limit: int) -> bytes:
        """The next line. Raises HTTPException for too many lines, or one that is cut short.

        An end before the first line is passed on: http.client handles it.
        """
        line: bytes = self._file.readline(limit)
        self._count += 1
        if self._count > _MOST_LINES:
            raise HTTPException(f"more than {_MOST_LINES} lines")
        if line.endswith(b"\n") or len(line) > _MOST_LINE or (not line and self._count == 1):
            return line
        raise IncompleteRead(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Response(HTTPResponse):
    """A response whose head and trailers are bounded and complete."""

    def begin(self) -> None:
        self._in_lines(super().begin)
        self._check_length()

    def _check_length(self) -> None:
        """Refuse several different lengths (RFC 9112, section 6.3).

        urllib3 refuses them too, but leaves the connection open.
        """
        lengths = self.headers.get_all("Content-Length") or []
        if len(lengths) < 2 and not any("," in length for length in lengths):
            return
        if len({length.strip() for each in lengths for length in each.split(",")}) > 1:
            raise HTTPException("several lengths")

    def _read_and_discard_trailer(self) -> None:
        self._in_lines(super()._read_and_discard_trailer)  # type: ignore[misc]  # not in typeshed

    def _in_lines(self, read: Callable[[], None]) -> None:
        """Call `read` while bounded lines replace the connection's file."""
        file = self.fp
        self.fp = _Lines(file)  # type: ignore[assignment]  # read() calls nothing else
        try:
            read()
        finally:
            if self.fp is not None:  # http.client may have closed it
                self.fp = file


class PlainConnection(HTTPConnection):
    """A connection without TLS."""

    response_class = _Response


class TlsConnection(HTTPSConnection):
    """A connection with TLS."""

    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection


POOLS = {"http": _PlainPool, "https": _TlsPool}
"""Pool classes for a PoolManager, by scheme."""
