"""Images without layers are kept, deleted and squashed as any other."""

from __future__ import annotations

import pytest

from tests.cleanup.room import Room, image, pulls_whole
from tests.pipeline.images import BARE, without_layers


@pytest.mark.parametrize("shape", BARE)
@pytest.mark.parametrize("action", ["delete", "squash"])
def test_images_without_layers_do_not_stop_a_repository(
    room: Room, shape: str, action: str
) -> None:
    kept = without_layers(shape).push(room.registry, "app", "keep")
    bare = without_layers(shape).push(room.registry, "app", "bare")
    other = image("old").push(room.registry, "app", "old")
    room.clean(f"action: {action}\nkeep: {{tags: [keep]}}")
    tags = room.registry.tags("app")
    assert tags["keep"] == kept
    assert pulls_whole(room.registry, kept)
    if action == "delete":
        assert set(tags) == {"keep"}
    else:
        assert tags["bare"] == bare
        assert tags["old"] != other
