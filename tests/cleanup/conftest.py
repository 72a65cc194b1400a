from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from squashproxy.registry.client import RegistryClient
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from squashproxy.testing import FakeRegistry, RegistryOptions
from tests.cleanup.room import NOW, Room


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Make a registry with these options, and what cleans it up."""
    with ExitStack() as stack:

        def make(**options: Any) -> Room:
            registry = stack.enter_context(FakeRegistry(RegistryOptions(**options)))
            database = stack.enter_context(open_state(None))
            client = RegistryClient(
                environ={}, sleep=lambda _: None, memory=ManifestMemory(database, lambda: NOW)
            )
            stack.enter_context(client)
            return Room(registry, client, database, tmp_path)

        yield make


@pytest.fixture
def room(rooms: Callable[..., Room]) -> Room:
    """A friendly registry."""
    return rooms()
