"""`max_deletions` counts tags, and manifests without a tag."""

from __future__ import annotations

import pytest

from squashproxy.errors import PlanRefused
from squashproxy.testing import index_of
from tests.cleanup.room import Room, image

RULE = "action: delete\nkeep: {tags: ['keep*']}"


def test_all_tags_of_one_image_count(room: Room) -> None:
    for number in range(300):
        image("one").push(room.registry, "app", f"old{number}")
    plan = room.plan(f"{RULE}\nmax_deletions: 2")
    assert plan.deletions == 300
    with pytest.raises(PlanRefused, match="300 tags and manifests"):
        room.apply(plan)
    assert len(room.registry.tags("app")) == 300


def test_an_image_with_one_tag_counts_once_and_platforms_count_by_themselves(room: Room) -> None:
    image("one").push(room.registry, "app", "old1")
    assert room.plan(RULE).deletions == 1
    index_of([image("a"), image("b")]).push(room.registry, "app", "old2")
    assert room.plan(RULE).deletions == 4


def test_all_tags_of_an_image_that_is_squashed_count(room: Room) -> None:
    for number in range(5):
        image("one").push(room.registry, "app", f"v{number}")
    assert room.plan("action: squash").deletions == 5
