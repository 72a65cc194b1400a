"""A registry that goes away at one of its requests and comes back, without its upload sessions."""

from __future__ import annotations

import threading
from dataclasses import replace

from squashproxy.testing import FakeRegistry


class Restarting:
    """Stops `registry` at its request number `at`, which gets no answer; `start` brings it back.

    What it holds stays, as on a disk; the sessions are gone.
    """

    def __init__(self, registry: FakeRegistry, at: int) -> None:
        self._registry = registry
        self._port = int(registry.host.rpartition(":")[2])
        self._at = at
        self._count = 0
        self._lock = threading.Lock()
        self._again: FakeRegistry | None = None
        self.is_down = threading.Event()
        registry.before_each(self._meet)

    def _meet(self, method: str, path: str) -> None:  # noqa: ARG002 - what `before_each` calls
        with self._lock:
            self._count += 1
            if self._count < self._at:
                return
            if self._count == self._at:
                threading.Thread(target=self._stop, daemon=True).start()
        raise ConnectionAbortedError("the registry goes away")

    def _stop(self) -> None:
        self._registry.close()
        self.is_down.set()

    @property
    def has_gone(self) -> bool:
        """Whether the request came at which it stops."""
        return self._count >= self._at

    def start(self) -> None:
        """Start again, at the same port; once."""
        with self._lock:
            if self._again is None:
                self.is_down.wait()
                options = replace(self._registry.options, port=self._port)
                self._again = FakeRegistry(options, shares=self._registry)

    @property
    def open_uploads(self) -> int:
        """The sessions that are open since the restart."""
        return 0 if self._again is None else self._again.open_uploads

    def close(self) -> None:
        """Stop for good."""
        if self._again is not None:
            self._again.close()
