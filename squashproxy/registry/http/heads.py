"""Connections that read the heads of answers whole, and within bounds.

http.client bounds the length of lines and the number of fields, but reads as many answers of
`100 Continue`, and as many trailers, as a server sends: without end. And it takes a head for whole
that the end of the connection cut short, so that half a Location would be followed.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_MOST_LINES = 1000
"""Lines of one head, interim answers included, or of the trailers behind a body."""

_MOST_LINE = 65536
"""What http.client says is a line too long, which it tells by itself."""


class _Lines:
    """Stands in for a connection's file while lines are read from it."""

    __slots__ = ("_count", "_file")

    def __init__(self, file: Any) -> None:
        self._file = file
        self._count = 0

    def readline(self, limit: int) -> bytes:
        """The next line; raises HTTPException for too many, and for one that is cut short.

        An end before the first line is passed on: http.client knows what it means.
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
    """An answer whose head and trailers are bounded and whole."""

    def begin(self) -> None:
        self._in_lines(super().begin)
        self._check_length()

    def _check_length(self) -> None:
        """Refuse lengths that differ (RFC 9112, section 6.3), while the connection can be closed.

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
        """Read with bounds in place of the connection's file."""
        file = self.fp
        self.fp = _Lines(file)  # type: ignore[assignment]  # all that is called meanwhile
        try:
            read()
        finally:
            if self.fp is not None:  # http.client may have closed it
                self.fp = file


class _PlainConnection(HTTPConnection):
    response_class = _Response


class _TlsConnection(HTTPSConnection):
    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _PlainPool, "https": _TlsPool}
"""The kinds of pools that a PoolManager is to make, by scheme."""
