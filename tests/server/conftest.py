"""An upstream, and a server before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.testing import FakeRegistry
from tests.server.leftovers import server_threads
from tests.server.serving import UP, Served, run_serve, settings


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    yield
    assert server_threads() == [], "a server left threads"


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def served(upstream: FakeRegistry, tmp_path: Path) -> Iterator[Served]:
    """The second of its listeners stands for the upstream."""
    listen = ["127.0.0.1:0", {"address": "127.0.0.1:0", "upstream": UP}]
    with run_serve(settings(upstream, tmp_path, listen=listen)) as server:
        yield server
