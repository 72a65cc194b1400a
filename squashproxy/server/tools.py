"""What the parts of the server share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.server.jobs import Jobs
from squashproxy.server.keeper import Keeper
from squashproxy.server.rights import Rights
from squashproxy.server.rules import Rules
from squashproxy.server.shelf import Shelf
from squashproxy.server.squashing import Squasher
from squashproxy.server.tagbook import TagBook
from squashproxy.server.upstreams import Upstreams
from squashproxy.server.workers import Workers
from squashproxy.store.base import Store


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
