"""Blobs on their way from upstream: each is fetched once, stored, and sent to all who ask for it.

1. A fetch is begun by the first pull of a blob that the store does not hold. Its thread writes the
   bytes to a spool, a file of the store that has no name yet.
2. Everyone who pulls the blob meanwhile reads from that file, at their own speed. No reader slows
   the fetch down, and it goes on even if all of them leave.
3. The last chunk may be read only after the whole blob was verified, so no client gets a whole
   blob that is wrong.
4. A verified spool becomes a blob of the store. If it cannot be stored, its readers still get it.
5. When the server stops, fetches end at their next chunk, and the spools are closed.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import closing, suppress

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.errors import ServerFault, SquashproxyError, reason_of, remembered
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RemoteRepository
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.http.ranges import Part
from squashproxy.server.store.base import Spool, Store
from squashproxy.server.store.spools import StoreFull
from squashproxy.streams import CHUNK, closed_after

Key = tuple[Repository, str]


class Fetch:
    """A blob on its way; its first `received` bytes may be read.

    It belongs to the event loop. Other threads call only `grow`, `end` and `tell`.
    """

    def __init__(self, blob: Descriptor, loop: asyncio.AbstractEventLoop) -> None:
        self.blob = blob
        self.received = 0
        self.error: SquashproxyError | None = None
        self._loop = loop
        self._more = asyncio.Event()
        self._over = asyncio.Event()
        self._file = -1
        self.close_file: Callable[[], object] = lambda: None

    def read_from(self, descriptor: int) -> None:
        """Read the bytes from this file, which is closed when the fetch is garbage-collected."""
        self._file = descriptor
        self.close_file = weakref.finalize(self, os.close, descriptor)

    async def iterate(self, part: Part, threads: Threads) -> AsyncGenerator[bytes, None]:
        """The bytes of a part, as they arrive. Raises the error that ended the fetch."""
        position, end = part.start, part.start + part.length
        while position < end:
            await self._wait_for(position)
            size = min(CHUNK, self.received - position, end - position)
            data = await threads.run(self._read, size, position)
            position += len(data)
            yield data

    def grow(self, received: int) -> None:
        """Let the first `received` bytes be read."""
        self.tell(lambda: self._note(received, None))

    def end(self, error: SquashproxyError | None) -> None:
        """Say that no more bytes come, because of `error` or because all are there."""
        self.tell(lambda: self._end(error))

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there."""
        return self.received == self.blob.size

    async def wait_until_over(self) -> None:
        """Wait until no more is done for the blob: it is kept, or could not be."""
        await self._over.wait()

    def tell(self, function: Callable[[], None]) -> None:
        """Run `function` in the event loop, unless the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def _read(self, size: int, position: int) -> bytes:
        """Read from the file; a method, so that a reading thread keeps the fetch and file alive."""
        return os.pread(self._file, size, position)

    async def _wait_for(self, position: int) -> None:
        while self.received <= position:
            if self.error is not None:
                # A copy: the traceback of a shared error would keep the fetch and its file alive.
                raise remembered(self.error)
            await self._more.wait()

    def _note(self, received: int, error: SquashproxyError | None) -> None:
        self.received, self.error = received, error
        more, self._more = self._more, asyncio.Event()
        more.set()

    def _end(self, error: SquashproxyError | None) -> None:
        self._note(self.received, error)
        self._over.set()


class Fetches:
    """All blobs on their way.

    `on_bytes` is called with the number of bytes that arrived, `on_warning` with an image and a
    sentence for the operator; both in the thread of a fetch.
    """

    def __init__(
        self,
        store: Store,
        on_bytes: Callable[[int], None],
        on_warning: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._on_bytes = on_bytes
        self._on_warning = on_warning
        self._threads = SharedThreads(16, "squashproxy-fetch")
        self._cancellation = Cancellation()
        self._running: dict[Key, Fetch] = {}
        self._known: weakref.WeakSet[Fetch] = weakref.WeakSet()

    def find(self, repository: Repository, digest: str) -> Fetch | None:
        """The fetch of a blob that is on its way."""
        return self._running.get((repository, digest))

    async def begin(
        self, repository: Repository, blob: Descriptor, remote: RemoteRepository
    ) -> Fetch:
        """The fetch of a blob, begun unless it is on its way already.

        Raises StoreFull or ArchiveError where the store has no file for it.
        """
        key = (repository, blob.digest)
        running = self._running.get(key)
        if running is not None:
            return running
        threads = self._threads.of(repository.host)
        fetch = Fetch(blob, asyncio.get_running_loop())
        self._known.add(fetch)
        self._running[key] = fetch
        try:
            spool = await threads.open(self._store.open_spool, blob.size)
        except BaseException:
            self._running.pop(key, None)
            fetch.end(StoreFull("the store has no room"))
            raise
        try:
            fetch.read_from(os.dup(spool.fileno()))
        except OSError as error:
            self._running.pop(key, None)
            threads.start(spool.close)
            fetch.end(StoreFull("the store has no room"))
            raise StoreFull(f"no more files can be open: {reason_of(error)}") from error
        threads.start(lambda: self._run(key, fetch, spool, remote))
        return fetch

    async def settle(self, host: str, digest: str) -> None:
        """Wait for a blob that is being kept for another repository of its host: the store has it
        in a moment.
        """
        for (repository, other), fetch in list(self._running.items()):
            if other == digest and repository.host == host and fetch.is_whole:
                await fetch.wait_until_over()

    def cancel(self) -> None:
        """End all fetches at their next chunk."""
        self._cancellation.cancel()

    async def close(self, seconds: float) -> None:
        """Cancel all fetches and wait at most `seconds` for their threads."""
        self._cancellation.cancel()
        await self._threads.close(seconds)

    def close_files(self) -> None:
        """Close the files that readers read from, when there are no readers any more.

        Usually they are closed already. But a traceback may keep a fetch alive.
        """
        for fetch in list(self._known):
            fetch.close_file()

    def _run(self, key: Key, fetch: Fetch, spool: Spool, remote: RemoteRepository) -> None:
        error: SquashproxyError | None = ServerFault("a bug in the server broke off the blob")
        try:
            with closing(spool):
                self._fetch(fetch, spool, remote)
                self._keep(key, fetch, spool)
            error = None
        except Cancelled as cancelled:
            error = cancelled.with_traceback(None)
        except SquashproxyError as failure:
            error = failure.with_traceback(None)
            self._on_warning(f"{key[0]}@{key[1]}", str(failure))
        finally:
            fetch.end(error)
            fetch.tell(lambda: self._forget(key))

    def _fetch(self, fetch: Fetch, spool: Spool, remote: RemoteRepository) -> None:
        self._cancellation.check()
        received = 0
        with closed_after(remote.iter_blob(fetch.blob)) as chunks:
            for chunk in chunks:
                self._cancellation.check()
                spool.write(chunk)
                if received:
                    fetch.grow(received)
                received += len(chunk)
                self._on_bytes(len(chunk))
        fetch.grow(received)

    def _keep(self, key: Key, fetch: Fetch, spool: Spool) -> None:
        try:
            spool.keep(key[0], fetch.blob, self._cancellation)
        except Cancelled:
            return
        except SquashproxyError as error:  # its readers have all of it, so they hear of no error
            self._on_warning(f"{key[0]}@{key[1]}", f"could not be kept: {error}")

    def _forget(self, key: Key) -> None:
        self._running.pop(key, None)
