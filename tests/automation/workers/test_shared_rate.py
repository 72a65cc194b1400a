"""The rate of a registry, shared by all processes of a fleet."""

from __future__ import annotations

import itertools

from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.settings import FleetSettings
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry
from tests.fleet.redis_server import RedisServer


def test_two_clients_send_no_more_than_one(broker: RedisServer) -> None:
    """Each request's wait is asked of the broker; nobody sleeps here, so waits add up there."""
    settings = FleetSettings(broker.url)
    slept: list[float] = []
    with FakeRegistry() as registry, Fleet(settings) as one, Fleet(settings) as two:
        options = ClientOptions(rates={registry.host: 0.5})
        digest = registry.put_blob("app", b"x")
        clients = [
            RegistryClient(options, environ={}, sleep=slept.append, pacer=fleet.pacer)
            for fleet in (one, two)
        ]
        for client in itertools.islice(itertools.cycle(clients), 6):
            client.repository(Repository(registry.host, "app")).find_blob(digest)
        for client in clients:
            client.close()
    waits = [wait for wait in slept if wait]
    assert len(waits) >= 5
    assert all(1.5 < later - earlier <= 2.0 for earlier, later in itertools.pairwise(waits)), (
        "one slot each two seconds, whoever asks"
    )
