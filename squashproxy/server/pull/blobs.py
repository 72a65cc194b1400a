"""Which bytes are handed out for a blob's digest, and from where."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Asker
from squashproxy.server.concurrency.threads import Workers
from squashproxy.server.pull.bodies import Body, FetchBody, FileBody, StreamBody
from squashproxy.server.pull.context import Tools
from squashproxy.server.pull.outcome import Origin
from squashproxy.server.store.base import KeptBlob
from squashproxy.server.upstream.fetches import Fetch, Fetches


@dataclass(frozen=True, slots=True)
class Sized:
    """A blob that was found: its size in bytes, where it comes from, and its body unless headed."""

    size: int
    origin: Origin
    body: Body | None = None


class Blobs:
    """Blobs from the store, or passed through while they are stored."""

    def __init__(self, tools: Tools, fetches: Fetches) -> None:
        self._tools = tools
        self._fetches = fetches
        self._readers = Workers(64, "squashproxy-read")

    async def find(
        self, asker: Asker, repository: Repository, digest: Digest, *, head: bool
    ) -> Sized:
        """A blob of a repository. Raises NotFound, and what upstream says."""
        tools = self._tools
        kept = await tools.keeper.find_blob(repository, digest)
        if kept is not None:
            return self._of_store(repository, kept)
        fetch = self._fetches.find(repository, digest)
        if fetch is not None:
            return self._of_fetch(asker, repository, fetch)
        size = await tools.asked.run(tools.upstreams.find_blob, asker, repository, digest)
        if size is None:
            raise NotFound(f"{repository} has no blob {digest}", status=404)
        tools.rights.grant(asker, repository)
        if head:
            return Sized(size, Origin.ORIGINAL)
        return await self._begin(asker, repository, Descriptor("", digest, size))

    def close(self) -> None:
        """Take nothing more."""
        self._readers.close()

    async def _begin(self, asker: Asker, repository: Repository, blob: Descriptor) -> Sized:
        tools = self._tools
        adopted = await tools.keeper.adopt_blob(
            repository,
            blob.digest,
            lambda _: True,  # upstream has just said so
        )
        if adopted is not None:
            return self._of_store(repository, adopted)
        remote = tools.upstreams.remote(asker, repository)
        try:
            fetch = await self._fetches.begin(repository, blob, remote)
        except SquashproxyError:
            return Sized(blob.size, Origin.ORIGINAL, self._past_store(asker, repository, blob))
        return self._of_fetch(asker, repository, fetch)

    def _of_store(self, repository: Repository, kept: KeptBlob) -> Sized:
        if kept.path is not None:
            return Sized(kept.size, Origin.CACHED, FileBody(kept.path, self._readers))
        store = self._tools.store
        body = StreamBody(lambda: store.iter_blob(repository, kept), self._readers)
        return Sized(kept.size, Origin.CACHED, body)

    def _of_fetch(self, asker: Asker, repository: Repository, fetch: Fetch) -> Sized:
        rest = self._past_store(asker, repository, fetch.blob)
        return Sized(fetch.blob.size, Origin.ORIGINAL, FetchBody(fetch, rest, self._readers))

    def _past_store(self, asker: Asker, repository: Repository, blob: Descriptor) -> StreamBody:
        remote = self._tools.upstreams.remote(asker, repository)
        return StreamBody(lambda: remote.iter_blob(blob), self._readers)
