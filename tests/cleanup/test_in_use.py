"""Lists of images in use: what they protect, however their hosts are spelled."""

from __future__ import annotations

import pytest

from squashproxy.testing import index_of
from tests.cleanup.room import Room, image, pulls_whole

RULE = "action: delete\nkeep: {tags: [keep], in_use: ['%s/list']}"


def rule_with(room: Room, *lines: str) -> str:
    (room.folder / "list").write_text("\n".join(lines))
    return RULE % room.folder


@pytest.mark.parametrize("spelling", ["LOCALHOST", "localhost", "127.0.0.1"])
def test_a_tag_in_use_stays_under_another_spelling_of_its_host(room: Room, spelling: str) -> None:
    image("old").push(room.registry, "app", "old")
    port = room.registry.host.partition(":")[2]
    (plan,) = room.plan(rule_with(room, f"{spelling}:{port}/app:old")).repositories
    assert plan.deletions == 0
    assert [each.tag for each in plan.kept] == ["old"]


def test_an_index_in_use_by_digest_keeps_its_platforms_though_no_tag_points_to_it(
    room: Room,
) -> None:
    one, two, three = image("one"), image("two"), image("three")
    used = index_of([one, two])
    used.push(room.registry, "app", "was")
    index_of([one, three]).push(room.registry, "app", "was")
    result = room.clean(rule_with(room, f"{room.registry.host}/app@{used.digest}"))
    assert result.problem is None
    assert pulls_whole(room.registry, used.digest)
    assert room.registry.tags("app") == {}
    assert three.digest not in room.registry.manifests("app")


def test_an_image_in_use_that_is_not_there_stops_its_repository(room: Room) -> None:
    image("old").push(room.registry, "app", "old")
    gone = image("gone").digest
    (plan,) = room.plan(rule_with(room, f"{room.registry.host}/app@{gone}")).repositories
    assert plan.deletions == 0
    assert f"list says that {gone}" in (plan.problem or "")
    assert "is in use, but it is not there" in (plan.problem or "")


def test_an_image_in_use_that_cannot_be_read_stops_its_repository(room: Room) -> None:
    image("old").push(room.registry, "app", "old")
    odd = room.registry.put_manifest("app", None, b"{}", "application/json")
    (plan,) = room.plan(rule_with(room, f"{room.registry.host}/app@{odd}")).repositories
    assert plan.deletions == 0
    assert plan.problem is not None


def test_a_line_that_matches_no_host_of_the_rule_is_named(room: Room) -> None:
    image("old").push(room.registry, "app", "old")
    lines = [f"{room.registry.host}/app:old", "registy.example.com/app:1", "docker.io/x/y:2"]
    plan = room.plan(rule_with(room, *lines))
    (warning,) = (each for each in plan.warnings if "list names" in each)
    assert "registy.example.com/app:1, docker.io/x/y:2" in warning
    assert "on none of the rule's hosts" in warning


def test_a_tag_in_use_that_the_registry_does_not_list_stops_the_repository(room: Room) -> None:
    """The list lacks one tag that exists, so it may lack others."""
    image("old").push(room.registry, "app", "old")
    image("hidden").push(room.registry, "app", "hidden")
    text = rule_with(room, f"{room.registry.host}/app:hidden")
    room.registry.hide_tag("app", "hidden")
    (plan,) = room.plan(text).repositories
    assert plan.deletions == 0
    assert "does not list the tag hidden" in (plan.problem or "")
