"""Finding a blob: in the store, on its way from upstream, or upstream.

A blob is looked for in this order, and the first place that has it answers:

1. the store, for this repository. A blob that was not hashed since the server began is hashed
   before it is sent; if it is damaged, it counts as gone;
2. a fetch of it that runs already;
3. upstream, which must say that the repository holds it. Then the store may have it from another
   repository on the same host; else a fetch is begun, which also stores it;
4. if the store has no room for it, upstream again, past the store;
5. if upstream does not have it, a squashed image that lost it is made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.pull.bodies import Body, FetchBody, FileBody, StreamBody
from squashproxy.server.pull.context import PullContext
from squashproxy.server.pull.outcome import Origin
from squashproxy.server.store.base import KeptBlob
from squashproxy.server.upstream.fetches import Fetch, Fetches


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A blob: its size in bytes, its origin, and its body; no body for a HEAD request."""

    size: int
    origin: Origin
    body: Body | None = None


Remake = Callable[[Caller, Repository, Digest], Awaitable[bool]]
"""Makes the squashed image again that needs a blob; returns whether there is one."""


class Blobs:
    """Finds blobs, and begins their fetches."""

    def __init__(self, context: PullContext, fetches: Fetches, remake: Remake) -> None:
        self._context = context
        self._fetches = fetches
        self._remake = remake
        self._readers = Threads(64, "squashproxy-read")
        self._streams = SharedThreads(16, "squashproxy-stream")
        self._hashing: SingleFlight[Digest, bool] = SingleFlight()
        self._cancellation = Cancellation()

    async def find(
        self, caller: Caller, repository: Repository, digest: Digest, *, head: bool
    ) -> FoundBlob:
        """A blob of a repository. Raises NotFound, and other errors of upstream."""
        context = self._context
        kept = await self._kept(repository, digest, head=head)
        if kept is not None:
            return self._of_store(repository, kept)
        fetch = self._fetches.find(repository, digest)
        if fetch is not None:
            return self._of_fetch(caller, repository, fetch)
        size = await context.upstream_threads.of(repository.host).run(
            context.upstreams.find_blob, caller, repository, digest
        )
        if size is None:
            return await self._made_again(caller, repository, digest, head=head)
        context.grants.grant(caller, repository)
        if head:
            return FoundBlob(size, Origin.ORIGINAL)
        return await self._begin(caller, repository, Descriptor("", digest, size))

    async def close(self, seconds: float) -> None:
        """Wait at most `seconds` for the threads that read blobs."""
        self._cancellation.cancel()
        await self._hashing.close()
        await asyncio.gather(self._readers.close(seconds), self._streams.close(seconds))

    async def _kept(self, repository: Repository, digest: Digest, *, head: bool) -> KeptBlob | None:
        """The blob in the store; None if it is not there, or damaged."""
        kept = await self._context.async_store.find_blob(repository, digest)
        return kept if kept is not None and (head or await self._is_sound(kept)) else None

    async def _is_sound(self, kept: KeptBlob) -> bool:
        if kept.is_hashed:
            return True
        store, cancellation = self._context.store, self._cancellation
        try:
            return await self._hashing.join(
                kept.digest,
                lambda: self._readers.run(store.is_sound, kept.digest, cancellation),
            )
        except SquashproxyError as error:
            self._context.async_store.tell(error)
            return False

    async def _made_again(
        self, caller: Caller, repository: Repository, digest: Digest, *, head: bool
    ) -> FoundBlob:
        """A blob of a squashed image that the store has lost."""
        if await self._remake(caller, repository, digest):
            kept = await self._kept(repository, digest, head=head)
            if kept is not None:
                return self._of_store(repository, kept)
        raise NotFound(f"{repository} has no blob {digest}", status=404)

    async def _begin(self, caller: Caller, repository: Repository, blob: Descriptor) -> FoundBlob:
        context = self._context
        await self._fetches.settle(repository.host, blob.digest)
        adopted = await context.async_store.adopt_blob(
            repository,
            blob.digest,
            lambda _: True,  # upstream has just said so
        )
        if adopted is not None and await self._is_sound(adopted):
            return self._of_store(repository, adopted)
        remote = context.upstreams.remote(caller, repository)
        try:
            fetch = await self._fetches.begin(repository, blob, remote)
        except SquashproxyError:
            return FoundBlob(blob.size, Origin.ORIGINAL, self._past_store(caller, repository, blob))
        return self._of_fetch(caller, repository, fetch)

    def _of_store(self, repository: Repository, kept: KeptBlob) -> FoundBlob:
        if kept.path is not None:
            return FoundBlob(kept.size, Origin.CACHED, FileBody(kept.path, self._readers))
        store = self._context.store
        body = StreamBody(lambda: store.iter_blob(repository, kept), self._readers)
        return FoundBlob(kept.size, Origin.CACHED, body)

    def _of_fetch(self, caller: Caller, repository: Repository, fetch: Fetch) -> FoundBlob:
        rest = self._past_store(caller, repository, fetch.blob)
        origin = Origin.CACHED if fetch.is_whole else Origin.ORIGINAL
        return FoundBlob(fetch.blob.size, origin, FetchBody(fetch, rest, self._readers))

    def _past_store(self, caller: Caller, repository: Repository, blob: Descriptor) -> StreamBody:
        remote = self._context.upstreams.remote(caller, repository)
        return StreamBody(lambda: remote.iter_blob(blob), self._streams.of(repository.host))
