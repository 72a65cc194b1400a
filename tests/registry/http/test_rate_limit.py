"""Requests per second are limited for each host by itself."""

from __future__ import annotations

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.http.rate_limit import RateLimit
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_requests_are_spaced_evenly() -> None:
    time = Time()
    rate_limit = RateLimit({"slow.example.com": 4.0}, time.sleep, time.clock)
    for _ in range(4):
        rate_limit.wait("slow.example.com")
        rate_limit.wait("other.example.com")
    assert time.slept == [0.25, 0.25, 0.25]
    time.now += 10
    rate_limit.wait("slow.example.com")
    assert len(time.slept) == 3


def test_a_client_keeps_it() -> None:
    time = Time()
    with FakeRegistry() as registry:
        options = ClientOptions(rates={registry.host: 2.0})
        with RegistryClient(options, environ={}, sleep=time.sleep, clock=time.clock) as client:
            for _ in range(3):
                client.repository(Repository(registry.host, "app")).find_blob(
                    registry.put_blob("app", b"x")
                )
    assert sum(time.slept) == 1.0
