"""Letting upstream say whether somebody with a login of their own may read a repository."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import NotFound
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Asker
from squashproxy.server.pull.context import Tools


class Admission:
    """Asks upstream with the asker's login, where it did not say yes lately; see Rights.

    Of squashed images and their blobs upstream knows nothing, so it is asked for their sources.
    Raises what upstream says, and NotFound where it has nothing for the asker.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def check(self, asker: Asker, repository: Repository) -> None:
        """For anything in a repository."""
        tools = self._tools
        if tools.rights.has(asker, repository):
            return
        latest = await tools.keeper.find_source(repository)
        if latest is not None:
            await self._ask(asker, repository, latest)
            return
        await tools.asked.run(tools.upstreams.list_tags, asker, repository)
        tools.rights.grant(asker, repository)

    async def check_manifest(self, asker: Asker, repository: Repository, digest: Digest) -> None:
        """For a manifest by its digest."""
        if self._tools.rights.has(asker, repository):
            return
        key = await self._tools.keeper.find_key(repository, digest)
        await self._ask(asker, repository, digest if key is None else key.source)

    async def check_blob(self, asker: Asker, repository: Repository, digest: Digest) -> None:
        """For a blob."""
        tools = self._tools
        if tools.rights.has(asker, repository):
            return
        found = await tools.asked.run(tools.upstreams.find_blob, asker, repository, digest)
        if found is None:
            await self.check(asker, repository)
        else:
            tools.rights.grant(asker, repository)

    async def _ask(self, asker: Asker, repository: Repository, source: Digest) -> None:
        tools = self._tools
        found = await tools.asked.run(tools.upstreams.find_manifest, asker, repository, source)
        if found is None:
            raise NotFound(f"{repository} holds nothing of that digest", status=404)
        tools.rights.grant(asker, repository)
