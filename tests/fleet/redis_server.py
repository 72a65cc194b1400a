"""A Redis (or Valkey) of the tests' own, on a free port, with its data in a folder."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

PROGRAMS = ("redis-server", "valkey-server")


def program() -> str:
    """The server's program; tests/run installs it on Debian. bookworm has no Valkey."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    assert found is not None, "redis-server is not installed"
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A server that can be stopped, killed, and started again on its port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "redis.log"

    @property
    def url(self) -> str:
        """The URL for `engine.broker`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """A client for the tests."""
        return redis.Redis(port=self.port, decode_responses=True)

    def start(self) -> None:
        """Start it, and wait until it answers; with the data that it saved, if any."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(program(), "--bind", "127.0.0.1", "--port", str(self.port)),
                    *("--dir", str(self._folder), "--save", "", "--appendonly", "no"),
                    *("--maxmemory-policy", "noeviction", "--enable-debug-command", "yes"),
                    *self._options,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(1000):
            assert self._process.poll() is None, self._log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("the server does not come up: " + self._log.read_text())

    def stop(self, *, with_data: bool = False) -> None:
        """End it. It comes back with its data, or without."""
        if self._process is None:
            return
        if with_data:
            with self.client as client:
                client.save()
        else:
            for file in self._folder.glob("*.rdb"):
                file.unlink()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let it answer nothing, although it takes connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, options: Sequence[str] = ()) -> Iterator[RedisServer]:
    """A server that runs during the block."""
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        if server._process is not None:
            server.thaw()
        server.stop()
