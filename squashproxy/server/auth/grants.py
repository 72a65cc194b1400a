"""What upstream lets a caller read, remembered for a short time (`auth: upstream`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.lru import LruCache

_SECONDS = 60.0
_MOST = 50_000


class Grants:
    """Who was let in where, by upstream itself.

    Only callers with a login of their own are looked at: for the others the server's own
    credentials speak.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._granted: LruCache[tuple[Caller, Repository], float] = LruCache(_MOST)

    def has(self, caller: Caller, repository: Repository) -> bool:
        """Whether the caller may read the repository, as far as is known now."""
        if caller.login is None:
            return True
        return self._granted.get((caller, repository), 0.0) > self._clock()

    def grant(self, caller: Caller, repository: Repository) -> None:
        """Upstream answered the caller."""
        self._granted[caller, repository] = self._clock() + _SECONDS
