"""A proxy on loopback that cuts connections after a number of bytes, as bad networks do."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 64 << 10
_POLL_SECONDS = 0.2


@dataclass(slots=True)
class Cuts:
    """When a CuttingProxy cuts: every so many bytes, a random number between `least` and `most`.

    With `shared`, bytes of all connections count together, else those of each by itself. After
    `limit` cuts it cuts no more. `count` is how many there were.
    """

    seed: int
    least: int
    most: int
    shared: bool = False
    limit: int | None = None
    count: int = 0
    _random: random.Random = field(init=False)
    _left: int = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._left = self.draw()

    def draw(self) -> int:
        """After how many bytes the next cut comes."""
        return self._random.randint(self.least, self.most)

    def allow(self, left: int, wanted: int) -> tuple[int, int]:
        """How many of the `wanted` bytes may pass, and how many are left of a connection's own."""
        with self._lock:
            if self.limit is not None and self.count >= self.limit:
                return wanted, left
            have = self._left if self.shared else left
            passed = min(have, wanted)
            if passed < wanted:
                self.count += 1
                self._left = self.draw()
            elif self.shared:
                self._left -= passed
            return passed, left - passed


@contextmanager
def cutting_proxy(host: str, cuts: Cuts) -> Iterator[str]:
    """Forward connections to `host` and cut them; yields the proxy's own `127.0.0.1:PORT`."""
    name, _, port = host.rpartition(":")
    ends = threading.Event()
    workers: list[threading.Thread] = []

    def accept() -> None:
        while not ends.is_set():
            with suppress(TimeoutError):
                client, _ = listener.accept()
                worker = threading.Thread(
                    target=_forward, args=(client, (name, int(port)), cuts, ends), daemon=True
                )
                workers.append(worker)
                worker.start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(_POLL_SECONDS)
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ends.set()
            for thread in (accepting, *workers):
                thread.join()


def _forward(
    client: socket.socket, address: tuple[str, int], cuts: Cuts, ends: threading.Event
) -> None:
    left = cuts.draw()
    with (
        client,
        suppress(OSError),
        socket.create_connection(address) as server,
        selectors.DefaultSelector() as selector,
    ):
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while not ends.is_set():
            for key, _ in selector.select(_POLL_SECONDS):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(_PIECE)
                passed, left = cuts.allow(left, len(data))
                key.data.sendall(data[:passed])
                if not data or passed < len(data):
                    return
