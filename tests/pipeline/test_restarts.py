"""A registry that restarts in the middle of a copy, at either side: the copy waits and ends right.

The client's clock and sleep are the test's: an outage of a minute takes no time. With a real clock,
and as a table: `python -m tests.bench.outages`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from squashproxy.errors import ServerFault, Unreachable
from squashproxy.pipeline.mode import Mode
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry, Fault, LayerBuilder
from tests.pipeline.images import image_of, noise
from tests.pipeline.lab import Lab, tree
from tests.pipeline.restarting import Restarting

LAYERS = (
    LayerBuilder().file("lower", noise(2 << 20, 1)).file("goes", noise(1 << 20, 2)),
    LayerBuilder().file("middle", noise(6 << 20, 3)),
    LayerBuilder().file("top", noise(1 << 20, 4)).whiteout("goes"),
)
IMAGE = image_of(*LAYERS)


class Time:
    """Waits move the clock; `tell` hears of each."""

    def __init__(self) -> None:
        self.now = 0.0
        self.tell: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
        self.tell()


class Outage:
    """Brings a registry back when it has been away for some seconds of the client's time."""

    def __init__(self, registry: Restarting, time: Time, seconds: float) -> None:
        self._registry = registry
        self._time = time
        self._seconds = seconds
        self._until: float | None = None
        time.tell = self._hear

    def _hear(self) -> None:
        if not self._registry.has_gone:
            return
        if self._until is None:
            self._until = self._time.now + self._seconds
        if self._time.now >= self._until:
            self._registry.start()


NORMAL = {("source", 10.0, 6, "none"), ("source", 60.0, 3, "1")} | {
    ("target", 1.0, 6, "none"),
    ("target", 60.0, 6, "1"),
    ("target", 10.0, 9, "none"),
}
CASES = [
    pytest.param(*case, marks=() if case in NORMAL else pytest.mark.long)
    for case in product(("source", "target"), (1.0, 10.0, 60.0), (3, 6, 9), ("none", "1"))
]


@pytest.mark.parametrize(("side", "seconds", "at", "base"), CASES)
def test_a_restart_is_waited_for(side: str, seconds: float, at: int, base: str) -> None:
    time = Time()
    with (
        FakeRegistry() as old,
        FakeRegistry() as new,
        RegistryClient(environ={}, sleep=time.sleep, clock=lambda: time.now) as client,
    ):
        lab = Lab(old, new, client)
        lab.put(IMAGE)
        registry = Restarting(old if side == "source" else new, at)
        Outage(registry, time, seconds)
        result = lab.copy(base=base)
        assert registry.has_gone or (side, at) == ("source", 9), "there are that many requests"
        assert lab.arrived().tree() == tree(*LAYERS)
        assert result.digest == new.tags("app")["1"]
        assert registry.open_uploads == 0
        registry.close()


def test_one_that_stays_away_is_given_up_after_the_time_that_was_set() -> None:
    time = Time()
    with (
        FakeRegistry() as old,
        FakeRegistry() as new,
        RegistryClient(
            ClientOptions(retry_for=90.0),
            environ={},
            sleep=time.sleep,
            clock=lambda: time.now,
        ) as client,
    ):
        lab = Lab(old, new, client)
        lab.put(IMAGE)
        Restarting(new, 6)
        with pytest.raises(Unreachable, match=r"cannot reach .* any more: .*; try again"):
            lab.copy(base="none")
        assert time.now >= 90.0


@pytest.mark.parametrize("choices", [{"base": "2"}, {"mode": Mode.COPY}], ids=["squash", "copy"])
def test_the_last_error_says_that_what_arrived_is_not_sent_again(choices: dict[str, Any]) -> None:
    time = Time()
    with (
        FakeRegistry() as old,
        FakeRegistry() as new,
        RegistryClient(environ={}, sleep=time.sleep, clock=lambda: time.now) as client,
    ):
        lab = Lab(old, new, client)
        lab.put(IMAGE)
        away = Fault("GET", IMAGE.layers[2].digest, status=503, times=1000)
        old.arm(away)
        with pytest.raises(ServerFault, match="run it again: blobs that arrived are not sent"):
            lab.copy(**choices, jobs=1)
        arrived = new.blobs("app")
        assert arrived
        old.disarm()
        new.forget_requests()
        lab.copy(**choices)
        sent = {each.path for each in new.requests if each.method == "PUT"}
        assert not any(blob.replace(":", "%3A") in path for blob in arrived for path in sent)
