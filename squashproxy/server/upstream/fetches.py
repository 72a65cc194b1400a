"""Blobs on their way from upstream: fetched once, kept, and sent on to all who ask meanwhile.

A fetch goes on where its clients leave, and does not wait for slow ones: they read from the file.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import closing

from squashproxy.errors import ServerFault, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RemoteRepository
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.http.ranges import Part
from squashproxy.server.store.base import Spool, Store
from squashproxy.server.store.spools import StoreFull

_PIECE = 256 << 10

Key = tuple[Repository, str]


class Fetch:
    """One blob on its way; `received` bytes may be read, of which the last ones are verified.

    It belongs to the event loop; from other threads `grow`, `end` and `tell` are called.
    """

    def __init__(self, blob: Descriptor, loop: asyncio.AbstractEventLoop) -> None:
        self.blob = blob
        self.received = 0
        self.error: SquashproxyError | None = None
        self._loop = loop
        self._more = asyncio.Event()
        self._file = -1

    def lend(self, descriptor: int) -> None:
        """The file that the bytes are in; a duplicate, closed when nobody knows the fetch."""
        self._file = descriptor
        weakref.finalize(self, os.close, descriptor)

    async def iterate(self, part: Part, threads: Threads) -> AsyncIterator[bytes]:
        """The bytes of a part, as they come. Raises the error of the fetch."""
        position, end = part.start, part.start + part.length
        while position < end:
            await self._await(position)
            size = min(_PIECE, self.received - position, end - position)
            data = await threads.run(os.pread, self._file, size, position)
            position += len(data)
            yield data

    def grow(self, received: int) -> None:
        """So many bytes may be read now."""
        self.tell(lambda: self._note(received, None))

    def end(self, error: SquashproxyError | None) -> None:
        """Nothing more comes."""
        self.tell(lambda: self._note(self.received, error))

    def tell(self, function: Callable[[], None]) -> None:
        """Let the event loop run `function`, if there is one still."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    async def _await(self, position: int) -> None:
        while self.received <= position:
            if self.error is not None:
                raise self.error.with_traceback(None)
            await self._more.wait()

    def _note(self, received: int, error: SquashproxyError | None) -> None:
        self.received, self.error = received, error
        more, self._more = self._more, asyncio.Event()
        more.set()


class Fetches:
    """All blobs on their way. `on_bytes` hears how many came; `on_warning` of what went wrong."""

    def __init__(
        self,
        store: Store,
        on_bytes: Callable[[int], None],
        on_warning: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._on_bytes = on_bytes
        self._on_warning = on_warning
        self._threads = Threads(32, "squashproxy-fetch")
        self._running: dict[Key, Fetch] = {}

    def find(self, repository: Repository, digest: str) -> Fetch | None:
        """The fetch of a blob that is on its way."""
        return self._running.get((repository, digest))

    async def begin(
        self, repository: Repository, blob: Descriptor, remote: RemoteRepository
    ) -> Fetch:
        """Fetch a blob, unless it is on its way already. Raises StoreFull."""
        key = (repository, blob.digest)
        running = self._running.get(key)
        if running is not None:
            return running
        fetch = Fetch(blob, asyncio.get_running_loop())
        self._running[key] = fetch
        try:
            spool = await self._threads.run(self._store.open_spool)
        except BaseException:
            self._running.pop(key, None)
            fetch.end(StoreFull("the store has no room"))
            raise
        fetch.lend(os.dup(spool.fileno()))
        self._threads.start(lambda: self._run(key, fetch, spool, remote))
        return fetch

    def close(self) -> None:
        """Take nothing more."""
        self._threads.close()

    def _run(self, key: Key, fetch: Fetch, spool: Spool, remote: RemoteRepository) -> None:
        error: SquashproxyError | None = ServerFault("a bug in the server broke off the blob")
        try:
            with closing(spool):
                self._fetch(fetch, spool, remote)
                self._keep(key, fetch, spool)
            error = None
        except SquashproxyError as failure:
            error = failure
            self._on_warning(f"{key[0]}@{key[1]}", str(failure))
        finally:
            fetch.end(error)
            fetch.tell(lambda: self._forget(key))

    def _fetch(self, fetch: Fetch, spool: Spool, remote: RemoteRepository) -> None:
        """Let readers have what came, but the last piece only when all is verified.

        So no client ever gets a wrong blob whole.
        """
        received = 0
        for chunk in remote.iter_blob(fetch.blob):
            spool.write(chunk)
            if received:
                fetch.grow(received)
            received += len(chunk)
            self._on_bytes(len(chunk))
        fetch.grow(received)

    def _keep(self, key: Key, fetch: Fetch, spool: Spool) -> None:
        """That it cannot be kept, is no error for those who read it."""
        try:
            spool.keep(key[0], fetch.blob)
        except SquashproxyError as error:
            self._on_warning(f"{key[0]}@{key[1]}", f"could not be kept: {error}")

    def _forget(self, key: Key) -> None:
        self._running.pop(key, None)
