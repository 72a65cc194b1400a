"""What the parts of the server share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.server.auth.grants import Rights
from squashproxy.server.concurrency.threads import Workers
from squashproxy.server.jobs.jobs import Jobs
from squashproxy.server.jobs.rules import Rules
from squashproxy.server.jobs.squasher import Squasher
from squashproxy.server.store.async_store import Keeper
from squashproxy.server.store.base import Store
from squashproxy.server.store.memory import Shelf
from squashproxy.server.upstream.clients import Upstreams
from squashproxy.server.upstream.tags import TagBook


@dataclass(frozen=True, slots=True)
class Tools:
    """What the parts of the server are to each other.

    `asked` are threads for upstream; `uses` are the times, in unix
    seconds, at which digests were used since the store was last told.
    """

    upstreams: Upstreams
    store: Store
    shelf: Shelf
    tags: TagBook
    rights: Rights
    rules: Rules
    jobs: Jobs
    squasher: Squasher
    keeper: Keeper
    asked: Workers
    uses: dict[Digest, float]
    clock: Callable[[], float] = time.time
