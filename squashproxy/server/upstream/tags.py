"""What tags point to upstream: remembered, asked again by HEAD, and known for when it is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.errors import NotFound, SquashproxyError, Unreachable
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Caller
from squashproxy.server.auth.grants import Grants
from squashproxy.server.concurrency.lru import LruCache
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.store.async_store import AsyncStore
from squashproxy.server.store.base import KnownTag
from squashproxy.server.upstream.clients import UpstreamClients

_MOST = 100_000
PATIENCE = 10.0
"""Seconds that upstream has to say what a tag is; then its last word counts."""

Key = tuple[Repository, str]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long answers hold, in seconds; `stale` are the hosts whose last word outlives them."""

    tag_ttl: float
    negative_ttl: float
    stale: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What was answered last, or the error; good until `until`."""

    until: float
    known: KnownTag | None = None
    error: SquashproxyError | None = None


class TagResolver:
    """Resolves tags. `on_stale` hears of each answer that upstream did not give."""

    def __init__(
        self,
        upstreams: UpstreamClients,
        async_store: AsyncStore,
        grants: Grants,
        freshness: Freshness,
        on_stale: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._upstreams = upstreams
        self._async_store = async_store
        self._grants = grants
        self._freshness = freshness
        self._on_stale = on_stale
        self._clock = clock
        self._entries: LruCache[Key, _Entry] = LruCache(_MOST)
        self._single_flight: SingleFlight[tuple[Key, Caller], KnownTag] = SingleFlight()
        self._threads = Threads(64, "squashproxy-tags")

    def find_fresh(self, caller: Caller, repository: Repository, tag: str) -> KnownTag | None:
        """What a tag points to, where nobody need be asked. Raises what was answered lately."""
        entry = self._entries.find((repository, tag))
        if entry is None or entry.until <= self._clock():
            return None
        if not self._grants.has(caller, repository):
            return None
        if entry.error is not None and entry.known is None:
            raise entry.error.with_traceback(None)
        return entry.known

    async def resolve(self, caller: Caller, repository: Repository, tag: str) -> KnownTag:
        """What a tag points to; one HEAD for all who ask at once.

        Raises NotFound, or the error of upstream where nothing is known from before.
        """
        found = self.find_fresh(caller, repository, tag)
        if found is not None:
            return found
        key = (repository, tag)
        return await self._single_flight.join((key, caller), lambda: self._ask(caller, key))

    async def close(self, seconds: float) -> None:
        """Cancel what is being resolved and wait at most `seconds` for the threads."""
        await self._single_flight.close()
        await self._threads.close(seconds)

    async def _ask(self, caller: Caller, key: Key) -> KnownTag:
        repository, tag = key
        try:
            found = await self._head(caller, repository, tag)
        except SquashproxyError as error:
            return await self._fall_back(caller, key, error)
        self._grants.grant(caller, repository)
        known = KnownTag(found, self._clock())
        self._entries[key] = _Entry(self._clock() + self._freshness.tag_ttl, known)
        await self._async_store.keep_tag(*key, known)
        return known

    async def _head(self, caller: Caller, repository: Repository, tag: str) -> Descriptor:
        """What upstream says in time; clients give up on an answer after half a minute."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._threads.run(
                    self._upstreams.find_manifest, caller, repository, tag
                )
        except TimeoutError as error:
            raise Unreachable(
                f"{repository.host} did not say in {PATIENCE:g} s what {repository}:{tag} is; "
                "try again later"
            ) from error
        if found is None:
            raise NotFound(f"{repository} has no tag {tag}", status=404)
        return found

    async def _fall_back(self, caller: Caller, key: Key, error: SquashproxyError) -> KnownTag:
        """The last known image, where there is one that this caller may have.

        Whom upstream must let in first gets nothing while it cannot be asked.
        """
        repository, _ = key
        until = self._clock() + self._freshness.negative_ttl
        known = await self._last_known(caller, key)
        if caller.login is None:
            self._entries[key] = _Entry(until, known, error)
        if known is None:
            raise error
        self._on_stale(repository.host)
        return known

    async def _last_known(self, caller: Caller, key: Key) -> KnownTag | None:
        repository, _ = key
        if repository.host not in self._freshness.stale or not self._grants.has(caller, repository):
            return None
        entry = self._entries.find(key)
        if entry is not None and entry.known is not None:
            return entry.known
        return await self._async_store.find_tag(*key)
