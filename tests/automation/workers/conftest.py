"""A broker for each file of tests, and two sides to compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.automation.workers.twin import Twin, open_twin
from tests.fleet.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def shared_twin(tmp_path_factory: pytest.TempPathFactory, broker: RedisServer) -> Iterator[Twin]:
    """One for all tests of a file, since processes take seconds to start."""
    with open_twin(tmp_path_factory.mktemp("twin"), broker) as opened:
        yield opened


@pytest.fixture
def twin(tmp_path: Path, broker: RedisServer) -> Iterator[Twin]:
    with broker.client as client:
        client.flushall()
    with open_twin(tmp_path, broker) as opened:
        yield opened
