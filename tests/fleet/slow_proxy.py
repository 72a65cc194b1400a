"""A way to the broker that can be slow, and that can lead nowhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class SlowProxy:
    """Forwards connections to a port; `delay` is in seconds for each piece, both ways."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.delay = 0.0
        self._open = threading.Event()
        self._open.set()
        self._ended = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL for `engine.broker`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        """From now on bytes are held back, and nobody is told."""
        self._open.clear()

    def mend(self) -> None:
        """What was held back goes on."""
        self._open.set()

    def close(self) -> None:
        """End it."""
        self._ended = True
        self._open.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def slow_proxy(target: int) -> Iterator[SlowProxy]:
    """A proxy that runs during the block."""
    proxy = SlowProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
