"""The bodies of blobs: from a file, from a stream, or from a fetch that still runs."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.http.ranges import Part
from squashproxy.server.store.spools import StoreFull
from squashproxy.server.upstream.fetches import Fetch
from squashproxy.streams import CHUNK, closed_after


class Body(Protocol):
    """The bytes of a blob; `path` is a whole file of them on this machine, or None."""

    @property
    def path(self) -> Path | None:
        """The file."""
        ...

    def iterate(self, part: Part) -> AsyncGenerator[bytes, None]:
        """The bytes of a part."""
        ...


@dataclass(frozen=True, slots=True)
class FileBody:
    """A blob in a file. Without TLS, the system sends it and `iterate` is not used."""

    path: Path
    threads: Threads

    async def iterate(self, part: Part) -> AsyncGenerator[bytes, None]:
        """The bytes of a part. Raises ConnectionAbortedError if the file is cut meanwhile."""
        position, end = part.start, part.start + part.length
        file = await self.threads.open(self.path.open, "rb")
        try:
            while position < end:
                size = min(CHUNK, end - position)
                data = await self.threads.run(os.pread, file.fileno(), size, position)
                if not data:
                    raise ConnectionAbortedError("the file was cut while it was sent")
                position += len(data)
                yield data
        finally:
            self.threads.start(file.close)


@dataclass(frozen=True, slots=True)
class StreamBody:
    """A blob that can only be read from its beginning; `open_stream` begins anew."""

    open_stream: Callable[[], Iterator[bytes]]
    threads: Threads
    path: None = None

    def iterate(self, part: Part) -> AsyncGenerator[bytes, None]:
        """The bytes of a part."""
        return self.threads.iterate(cut(self.open_stream(), part))


@dataclass(frozen=True, slots=True)
class FetchBody:
    """A blob that is being fetched; `rest` is read instead if the store runs out of room."""

    fetch: Fetch
    rest: StreamBody
    threads: Threads
    path: None = None

    async def iterate(self, part: Part) -> AsyncGenerator[bytes, None]:
        """The bytes of a part, as they come."""
        sent = 0
        try:
            async with aclosing(self.fetch.iterate(part, self.threads)) as pieces:
                async for data in pieces:
                    sent += len(data)
                    yield data
        except StoreFull:
            left = Part(part.start + sent, part.length - sent, is_partial=True)
            async with aclosing(self.rest.iterate(left)) as pieces:
                async for data in pieces:
                    yield data


def cut(stream: Iterator[bytes], part: Part) -> Iterator[bytes]:
    """A part of a stream. The last piece is held back until the next chunk, or the end, was read.

    Streams verify themselves at their end, so a stream that is wrong is never sent whole.
    """
    position, end = 0, part.start + part.length
    held = b""
    with closed_after(stream) as chunks:
        for chunk in chunks:
            piece = chunk[max(0, part.start - position) : max(0, end - position)]
            position += len(chunk)
            if piece:
                if held:
                    yield held
                held = piece
            elif position > end:
                break
    if held:
        yield held
