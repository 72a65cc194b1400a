"""Grants: repositories that upstream let a caller read, kept for a minute (`auth: upstream`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from squashproxy.lru import LruCache
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Caller

_SECONDS = 60.0
_MOST = 50_000


class Grants:
    """Grants of upstream, by caller and repository.

    Callers without a login use the server's own credentials, so they need no grant.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._granted: LruCache[tuple[Caller, Repository], float] = LruCache(_MOST)

    def has(self, caller: Caller, repository: Repository) -> bool:
        """Whether the caller is known to be allowed to read the repository."""
        if caller.login is None:
            return True
        return self._granted.get((caller, repository), 0.0) > self._clock()

    def grant(self, caller: Caller, repository: Repository) -> None:
        """Note that upstream let the caller read the repository."""
        self._granted[caller, repository] = self._clock() + _SECONDS
