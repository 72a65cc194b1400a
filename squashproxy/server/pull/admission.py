"""Asking upstream whether a caller may read a repository (`auth: upstream`)."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import NotFound
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Caller
from squashproxy.server.pull.context import PullContext


class Admission:
    """Asks upstream with the caller's login, unless it let them in a short time ago; see Grants.

    Upstream does not know squashed images and their blobs, so access to their sources is checked.
    Raises NotFound where upstream has nothing for the caller, and other errors of upstream.
    """

    def __init__(self, context: PullContext) -> None:
        self._context = context

    async def check(self, caller: Caller, repository: Repository) -> None:
        """Check that the caller may read the repository at all."""
        context = self._context
        if context.grants.has(caller, repository):
            return
        latest = await context.async_store.find_source(repository)
        if latest is not None:
            await self._ask(caller, repository, latest)
            return
        await context.upstream_threads.of(repository.host).run(
            context.upstreams.list_tags, caller, repository
        )
        context.grants.grant(caller, repository)

    async def check_manifest(self, caller: Caller, repository: Repository, digest: Digest) -> None:
        """Check that the caller may read a manifest, by its digest."""
        if self._context.grants.has(caller, repository):
            return
        key = await self._context.async_store.find_key(repository, digest)
        if key is not None:
            await self._ask(caller, repository, key.source)
        elif await self._context.async_store.find_manifest(repository, digest) is not None:
            await self.check(caller, repository)  # perhaps what only the store has
        else:
            await self._ask(caller, repository, digest)

    async def check_blob(self, caller: Caller, repository: Repository, digest: Digest) -> None:
        """Check that the caller may read a blob."""
        context = self._context
        if context.grants.has(caller, repository):
            return
        found = await context.upstream_threads.of(repository.host).run(
            context.upstreams.find_blob, caller, repository, digest
        )
        if found is None:
            await self.check(caller, repository)
        else:
            context.grants.grant(caller, repository)

    async def _ask(self, caller: Caller, repository: Repository, source: Digest) -> None:
        context = self._context
        found = await context.upstream_threads.of(repository.host).run(
            context.upstreams.find_manifest, caller, repository, source
        )
        if found is None:
            raise NotFound(f"{repository} holds nothing of that digest", status=404)
        context.grants.grant(caller, repository)
