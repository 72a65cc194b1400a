"""Resolving tags to the digests of their sources.

An answer of upstream is used for `serve.tag_ttl` seconds. After that, upstream is asked again by
one HEAD request for all who want the tag. If it does not answer, the last known digest is used
where the upstream's `stale` allows it. The next HEAD follows after `serve.negative_ttl` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.errors import NotFound, SquashproxyError, Unreachable, remembered
from squashproxy.lru import LruCache
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Caller
from squashproxy.server.auth.grants import Grants
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.store.async_store import AsyncStore
from squashproxy.server.store.base import KnownTag
from squashproxy.server.upstream.clients import UpstreamClients

_MOST = 30_000
"""Tags that are remembered, some hundred bytes each, also those that do not exist."""
PATIENCE = 10.0
"""The seconds in which upstream must answer; after that, the last known digest is used. Checks of
signatures have as many: together they leave a client time that gives up after 30."""

Key = tuple[Repository, str]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long answers are used, in seconds; `stale` hosts have theirs used while they are down."""

    tag_ttl: float
    negative_ttl: float
    stale: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """The last answer or error, used until `until` in unix seconds."""

    until: float
    known: KnownTag | None = None
    error: SquashproxyError | None = None


class TagResolver:
    """Resolves tags. `on_stale` is called with the host for each answer that is out of date.

    `clock` gives unix seconds, for what is kept; `ticks` tells how old an answer is, whatever
    becomes of the clock.
    """

    def __init__(
        self,
        upstreams: UpstreamClients,
        async_store: AsyncStore,
        grants: Grants,
        freshness: Freshness,
        on_stale: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = upstreams
        self._async_store = async_store
        self._grants = grants
        self._freshness = freshness
        self._on_stale = on_stale
        self._clock = clock
        self._ticks = ticks
        self._entries: LruCache[Key, _Entry] = LruCache(_MOST)
        self._single_flight: SingleFlight[tuple[Key, Caller], KnownTag] = SingleFlight()
        self._threads = SharedThreads(32, "squashproxy-tags")

    def find_fresh(self, caller: Caller, repository: Repository, tag: str) -> KnownTag | None:
        """What a tag points to, if upstream need not be asked. Raises the remembered error."""
        entry = self._entries.find((repository, tag))
        if entry is None or entry.until <= self._ticks():
            return None
        if not self._grants.has(caller, repository):
            return None
        if entry.error is not None and entry.known is None:
            raise remembered(entry.error)
        return entry.known

    async def resolve(self, caller: Caller, repository: Repository, tag: str) -> KnownTag:
        """What a tag points to; one HEAD for all who ask at once.

        Raises NotFound, or the error of upstream if no earlier answer may be used.
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
        self._entries[key] = _Entry(self._ticks() + self._freshness.tag_ttl, known)
        await self._async_store.keep_tag(*key, known)
        return known

    async def _head(self, caller: Caller, repository: Repository, tag: str) -> Descriptor:
        """What upstream says in time: pulling clients give up after half a minute."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._threads.of(repository.host).run(
                    self._upstreams.find_manifest, caller, repository, tag
                )
        except TimeoutError as error:
            raise Unreachable(
                f"{repository.host} did not say in {PATIENCE:g} s what {repository}:{tag} is",
                advice="try again later",
            ) from error
        if found is None:
            raise NotFound(f"{repository} has no tag {tag}", status=404)
        return found

    async def _fall_back(self, caller: Caller, key: Key, error: SquashproxyError) -> KnownTag:
        """The last known image, if there is one that this caller may read.

        A caller who needs upstream's permission gets none while upstream does not answer.
        """
        repository, _ = key
        until = self._ticks() + self._freshness.negative_ttl
        known = await self._last_known(caller, key)
        if caller.login is None:
            self._entries[key] = _Entry(until, known, remembered(error))
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
