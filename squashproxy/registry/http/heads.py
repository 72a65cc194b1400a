"""Connections that read responses completely and within bounds.

http.client bounds the length of lines and the number of fields, but not the number of interim
`100 Continue` responses and trailers: a server could send them for ever. Any other interim response
it takes for the final one, which is then read as the answer to the next request on that connection.
It also accepts lines that a closed connection cut short: half a Location would be followed, and of
a chunk's size `1000` that ends after `1`, one byte would be taken for the whole chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead, LineTooLong
from io import BufferedReader
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from squashproxy.registry.http.least_speed import MeteredStream, SpeedMeter
from squashproxy.registry.http.open_connections import OpenConnections

_MOST_LINES = 1000
"""Lines of one head, interim responses included, or of the trailers after a body."""

_MOST_LINE = 65536
"""The longest line that http.client accepts; it reports longer ones itself."""

_LAST_LINES = (b"\r\n", b"\n")
"""The line that ends a head."""


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
        if line.endswith(b"\n"):
            return _without_space(line)
        if len(line) > _MOST_LINE or (not line and self._count == 1):
            return line
        raise IncompleteRead(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _without_space(line: bytes) -> bytes:
    """The line without white space behind a value, which is no part of it (RFC 9110, section 5.5).

    A line of nothing else stays: without it, it would be the end of the head.
    """
    text = line.rstrip(b"\r\n")
    trimmed = text.rstrip(b" \t")
    return line if trimmed in (text, b"") else trimmed + b"\r\n"


class _Response(HTTPResponse):
    """A response whose lines are bounded and complete, and that comes at a least speed.

    Interim responses before it are passed over (RFC 9110, section 15.2).
    """

    def __init__(self, sock: Any, *args: Any, least_speed: float, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        meter = SpeedMeter(least_speed, sock.gettimeout() or 0.0)
        raw = self.fp.detach()
        self.fp = BufferedReader(MeteredStream(raw, meter))

    def begin(self) -> None:
        self._in_lines(super().begin)
        self._check_length()

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the final response, or of `100 Continue`, which http.client skips.

        Raises HTTPException for another protocol, which nobody asked for.
        """
        while True:
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not in typeshed
            status = found[1]
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HTTPException("another protocol")
            if status == HTTPStatus.CONTINUE or status >= HTTPStatus.OK:
                return found
            while (line := self.fp.readline(_MOST_LINE + 1)) not in _LAST_LINES:
                if len(line) > _MOST_LINE:
                    raise LineTooLong("header line")

    def _check_length(self) -> None:
        """Refuse several different lengths (RFC 9112, section 6.3).

        urllib3 refuses them too, but leaves the connection open.
        """
        lengths = self.headers.get_all("Content-Length") or []
        if len(lengths) < 2 and not any("," in length for length in lengths):
            return
        if len({length.strip() for each in lengths for length in each.split(",")}) > 1:
            raise HTTPException("several lengths")

    def _read_next_chunk_size(self) -> int:
        size: int = self._in_lines(super()._read_next_chunk_size)  # type: ignore[misc]  # not in typeshed
        return size

    def _read_and_discard_trailer(self) -> None:
        self._in_lines(super()._read_and_discard_trailer)  # type: ignore[misc]  # not in typeshed

    def _in_lines(self, read: Callable[[], Any]) -> Any:
        """Call `read` while bounded lines replace the connection's file; returns its result."""
        file = self.fp
        self.fp = _Lines(file)  # type: ignore[assignment]  # read() calls nothing else
        try:
            return read()
        finally:
            if self.fp is not None:  # http.client may have closed it
                self.fp = file


class _TellsMethod(HTTPConnection):
    """A connection that tells the method of its last request; empty while it is closed."""

    sent_method = ""

    def close(self) -> None:
        """Close the socket."""
        self.sent_method = ""
        super().close()

    def request(self, method: str, *args: Any, **options: Any) -> None:
        """Send a request."""
        self.sent_method = method
        super().request(method, *args, **options)


class PlainConnection(_TellsMethod):
    """A connection without TLS."""


class TlsConnection(_TellsMethod, HTTPSConnection):
    """A connection with TLS."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What connections of one client share; `least_speed` is in bytes per second, 0 for none."""

    opened: OpenConnections
    least_speed: float

    def apply(self, connection: Any) -> Any:
        """Put a new connection under these terms."""
        connection.response_class = partial(_Response, least_speed=self.least_speed)
        self.opened.add(connection)
        return connection


class _UnderTerms(HTTPConnectionPool):
    """A pool whose connections are under common terms."""

    def __init__(self, terms: Terms, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._terms = terms

    def _new_conn(self) -> Any:
        return self._terms.apply(super()._new_conn())


class PlainPool(_UnderTerms):
    """Connections without TLS, under common terms."""

    ConnectionCls = PlainConnection


class TlsPool(_UnderTerms, HTTPSConnectionPool):
    """Connections with TLS, under common terms."""

    ConnectionCls = TlsConnection


Pools = Mapping[str, Callable[..., HTTPConnectionPool]]


def pools_under(terms: Terms) -> Pools:
    """Pool classes for a PoolManager, by scheme."""
    return {"http": partial(PlainPool, terms), "https": partial(TlsPool, terms)}
