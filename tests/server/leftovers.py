"""What a stopped server may have left open in this process: files, connections, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

_ESTABLISHED = "01"


def open_files(folder: Path) -> list[str]:
    """The open descriptors of files below a folder, also of those without a name."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            link = str(entry.readlink())
        except OSError:
            continue  # the listing's own
        if link.startswith(f"{folder}/"):
            links.append(link)
    return links


def connections_to(port: int) -> int:
    """How many connections from this process to a port are open."""
    return sum(remote == port for _, remote in _connections())


def connections_at(port: int) -> int:
    """How many connections that were accepted at a port of this process are open."""
    return sum(local == port for local, _ in _connections())


def _connections() -> Iterator[tuple[int, int]]:
    """The ports of each connection that a socket of this process belongs to: local and remote."""
    inodes = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(entry.stat().st_ino)
        except OSError:
            continue
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        state, inode = fields[3], int(fields[9])
        if state == _ESTABLISHED and inode in inodes:
            yield _port(fields[1]), _port(fields[2])


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def server_threads() -> list[str]:
    """The server's threads that are alive."""
    return [thread.name for thread in threading.enumerate() if is_of_server(thread)]


def is_of_server(thread: threading.Thread) -> bool:
    return thread.name.startswith("squashproxy-")


def join_server_threads(seconds: float) -> None:
    """Wait for threads whose call hung when their server stopped."""
    deadline = time.monotonic() + seconds
    for thread in filter(is_of_server, threading.enumerate()):
        thread.join(max(0.0, deadline - time.monotonic()))
