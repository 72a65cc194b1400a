"""What upstream lets an asker read, remembered for a short time (`auth: upstream`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Asker
from squashproxy.server.concurrency.lru import Bounded

_SECONDS = 60.0
_MOST = 50_000


class Rights:
    """Who was let in where, by upstream itself.

    Only askers with a login of their own are looked at: for the others the server's own
    credentials speak.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._granted: Bounded[tuple[Asker, Repository], float] = Bounded(_MOST)

    def has(self, asker: Asker, repository: Repository) -> bool:
        """Whether the asker may read the repository, as far as is known now."""
        if asker.login is None:
            return True
        return self._granted.get((asker, repository), 0.0) > self._clock()

    def grant(self, asker: Asker, repository: Repository) -> None:
        """Upstream answered the asker."""
        self._granted[asker, repository] = self._clock() + _SECONDS
