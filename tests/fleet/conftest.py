"""A broker for each file of tests, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from squashproxy.fleet.settings import FleetSettings
from tests.fleet.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    with shared_server.client as client:
        client.flushall()
    return shared_server


@pytest.fixture
def settings(server: RedisServer) -> FleetSettings:
    return FleetSettings(server.url, lease=2.0, drain=2.0, patience=5.0)
