"""What the parts of the server share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.server.auth.grants import Grants
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.jobs.jobs import Jobs
from squashproxy.server.jobs.rules import Rules
from squashproxy.server.jobs.squasher import Squasher
from squashproxy.server.store.async_store import AsyncStore
from squashproxy.server.store.base import Store
from squashproxy.server.store.memory import MemoryStore
from squashproxy.server.upstream.clients import UpstreamClients
from squashproxy.server.upstream.tags import TagResolver


@dataclass(frozen=True, slots=True)
class PullContext:
    """What the parts of the server are to each other.

    `asked` are threads for upstream; `uses` are the times, in unix
    seconds, at which digests were used since the store was last told.
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
    upstream_threads: Threads
    uses: dict[Digest, float]
    clock: Callable[[], float] = time.time
