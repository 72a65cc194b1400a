"""Requests read from the socket; their bodies are read in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from squashproxy.testing.answers import Code, Refusal

_PIECE = 64 << 10
_LINE = 8 << 10


class ByteStream(Protocol):
    """The part of a socket's file that is used for reading."""

    def read(self, size: int, /) -> bytes:
        """Read exactly `size` bytes, fewer at the end of the stream."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Read up to the next line feed, and include it; at most `size` bytes."""
        ...


class RequestBody:
    """The body of a request, read once, in pieces of at most 64 KiB.

    Reads bodies with a Content-Length and chunked ones (RFC 9112, section 7.1). `received` counts
    the bytes read so far. Reading raises ConnectionAbortedError if the client goes away before the
    end, and after `break_after` bytes.
    """

    def __init__(
        self, stream: ByteStream, headers: Mapping[str, str], break_after: int | None = None
    ) -> None:
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self._length = int(headers.get("content-length") or 0)
        self._stream = stream
        self._break_after = break_after
        self._pieces = self._read()
        self.received = 0

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def read(self, limit: int) -> bytes:
        """The whole body. Raises Refusal (413) if it is longer than `limit` bytes."""
        data = bytearray()
        for piece in self:
            data += piece
            if len(data) > limit:
                raise Refusal(Code.SIZE_INVALID, f"at most {limit} bytes are taken", status=413)
        return bytes(data)

    def drain(self) -> None:
        """Read the rest of the body, so that the connection can be used again."""
        for _ in self:
            pass

    def _read(self) -> Iterator[bytes]:
        spans = self._chunk_sizes() if self._chunked else iter((self._length,))
        for span in spans:
            left = span
            while left:
                piece = self._take(left)
                left -= len(piece)
                yield piece
            if self._chunked:
                self._line()

    def _chunk_sizes(self) -> Iterator[int]:
        while True:
            text = self._line().partition(b";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError as error:
                raise ConnectionAbortedError("a chunk without a size") from error
            if size == 0:
                break
            yield size
        while self._line():
            pass

    def _take(self, left: int) -> bytes:
        size = min(left, _PIECE)
        if self._break_after is not None:
            size = min(size, self._break_after - self.received)
            if size == 0:
                raise ConnectionAbortedError("a fault broke the request")
        piece = self._stream.read(size)
        self.received += len(piece)
        if len(piece) < size:
            raise ConnectionAbortedError("the client went away")
        return piece

    def _line(self) -> bytes:
        line = self._stream.readline(_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError("the client went away")
        return line.rstrip(b"\r\n")


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Names of headers are in lower case; `path` is decoded and has no query.

    `target` is path and query as they were sent.
    """

    method: str
    target: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: RequestBody

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter; None if the query lacks it."""
        values = self.query.get(name)
        return values[0] if values else None
