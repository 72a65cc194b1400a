"""A server that drips a few bytes a second is given up; a slow start or a slow reader is not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from squashproxy.errors import Patience, Unreachable
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.http.least_speed import SpeedMeter, TooSlow
from squashproxy.registry.options import ClientOptions
from tests.registry.scripted import sending

Pieces = list[tuple[float, int]]

FAST_ENOUGH: dict[str, Pieces] = {
    "an answer after minutes": [(290.0, 200), (0.1, 5000)],
    "a small answer in pieces": [(0.0, 1)] + [(0.2, 1)] * 100,
    "just the least speed": [(0.0, 1)] + [(1.0, 100)] * 90,
    "nothing for a while, then much": [(0.0, 1), (29.0, 100_000), (29.0, 100_000)],
}


@pytest.mark.parametrize("pieces", FAST_ENOUGH.values(), ids=FAST_ENOUGH)
def test_what_is_fast_enough_passes(pieces: Pieces) -> None:
    meter = SpeedMeter(least=100.0, window=30.0)
    for seconds, count in pieces:
        meter.note(seconds, count)


TOO_SLOW: dict[str, Pieces] = {
    "two bytes a second": [(0.0, 2)] + [(1.0, 2)] * 30,
    "fast at first": [(0.0, 1), (30.0, 1_000_000)] + [(1.0, 99)] * 30,
}


@pytest.mark.parametrize("pieces", TOO_SLOW.values(), ids=TOO_SLOW)
def test_what_is_too_slow_ends_with_its_window(pieces: Pieces) -> None:
    meter = SpeedMeter(least=100.0, window=30.0)
    *before, last = pieces
    for seconds, count in before:
        meter.note(seconds, count)
    with pytest.raises(TooSlow):
        meter.note(*last)


@pytest.mark.parametrize(("least", "window"), [(0.0, 30.0), (100.0, 0.0)])
def test_there_may_be_no_least_speed(least: float, window: float) -> None:
    meter = SpeedMeter(least, window)
    for _ in range(1000):
        meter.note(10.0, 1)


DRIPS: dict[str, bytes] = {
    "the status line": b"",
    "the head": b"HTTP/1.1 200 OK\r\nA: ",
    "a body with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
    "a body without a length": b"HTTP/1.1 200 OK\r\n\r\n",
    "a body in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n",
}


@pytest.mark.parametrize("begin", DRIPS.values(), ids=DRIPS)
def test_a_dripping_server_is_given_up(
    connect: Callable[..., RegistryClient], begin: bytes
) -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin)
        while not over.wait(0.01):
            connection.sendall(b"H")

    with sending(drip) as host:
        options = ClientOptions(
            timeout=0.2, retries=0, retry_for=0.0, plain_http=frozenset({host}), least_speed=1e6
        )
        with pytest.raises(Unreachable, match="its answer came too slowly") as raised:
            connect(options).repository(Repository(host, "app")).get_manifest("v1")
        over.set()
    assert raised.value.patience is Patience.MINUTE
