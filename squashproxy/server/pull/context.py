"""The dependencies that the request handlers share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.server.auth.grants import Grants
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.jobs.jobs import Jobs
from squashproxy.server.jobs.rules import Rules
from squashproxy.server.jobs.squasher import Squasher
from squashproxy.server.pull.allowed import AllowedDigests
from squashproxy.server.pull.sources import SignedSources
from squashproxy.server.store.async_store import AsyncStore
from squashproxy.server.store.base import Store
from squashproxy.server.store.memory import MemoryStore
from squashproxy.server.upstream.clients import UpstreamClients
from squashproxy.server.upstream.tags import TagResolver


@dataclass(frozen=True, slots=True)
class PullContext:
    """The dependencies of a pull.

    `store` is for calls that do not block, `async_store` for all others; `memory` caches earlier
    results. `upstream_threads` run calls to upstream. `uses` are the times, in unix seconds, at
    which digests were used; they are written to the store every few seconds. `sources` and
    `allowed` know what is signed as the rules require.
    """

    upstreams: UpstreamClients
    store: Store
    memory: MemoryStore
    tags: TagResolver
    grants: Grants
    rules: Rules
    jobs: Jobs
    squasher: Squasher
    async_store: AsyncStore
    upstream_threads: SharedThreads
    uses: dict[Digest, float]
    sources: SignedSources
    allowed: AllowedDigests
    clock: Callable[[], float] = time.time
