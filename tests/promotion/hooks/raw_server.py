"""A server that sends whatever bytes it is told to, as slowly as it likes."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


class RawServer:
    """Reads a request of each connection, and does to it what `answer` says.

    `left` is set when a client closes a connection that is dripped into.
    """

    def __init__(self, answer: Callable[[socket.socket, RawServer], None]) -> None:
        self.requests: list[bytes] = []
        self.left = threading.Event()
        self._answer = answer
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def drip(self, connection: socket.socket, data: bytes) -> None:
        """Send `data` again and again until the client leaves; nothing at all where it is empty."""
        try:
            if not data:
                connection.recv(1)
                self.left.set()
            while data and not self._over.wait(0.02):
                connection.sendall(data)
        except OSError:
            self.left.set()

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.requests.append(_request(connection))
                    self._answer(connection, self)


def _request(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found or len(found) < _size(found):
        data = connection.recv(65536)
        if not data:
            break
        found += data
    return found


def _size(request: bytes) -> int:
    head, end, _ = request.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    return len(head + end) + (int(length[1]) if length else 0)


@contextmanager
def answering(head: bytes, dripped: bytes | None = None) -> Iterator[RawServer]:
    """A server that sends `head`, and then hangs up or drips."""

    def answer(connection: socket.socket, server: RawServer) -> None:
        connection.sendall(head)
        if dripped is not None:
            server.drip(connection, dripped)

    server = RawServer(answer)
    try:
        yield server
    finally:
        server.close()
