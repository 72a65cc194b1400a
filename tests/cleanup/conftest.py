from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cleanup.room import Room, room_maker


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Make a registry with these options, and what cleans it up."""
    with room_maker(tmp_path) as make:
        yield make


@pytest.fixture
def room(rooms: Callable[..., Room]) -> Room:
    """A friendly registry."""
    return rooms()
