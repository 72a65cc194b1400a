"""Cleaning up a Harbor: by the dates that it alone tells, and tags through its own API."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cleanup.room import Room, image

REPO = "team/tools/web"


@pytest.fixture
def harbor(rooms: Callable[..., Room]) -> Room:
    room = rooms(harbor=True)
    room.path = REPO
    return room


def test_the_clock_of_the_room_is_where_the_cases_think(harbor: Room) -> None:
    """The clock stands at 2027-01-15; the dates below are days or months before."""
    assert harbor.clock == 1_800_000_000


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("pushed_within: 30d", {"pushed"}),
        ("pulled_within: 30d", {"pulled"}),
        ("pushed_within: 30d, pulled_within: 30d", {"pushed", "pulled"}),
        ("pulled_within: 365d", {"pulled", "old"}),
    ],
)
def test_what_was_pushed_or_pulled_lately_is_kept(keep: str, left: set[str], harbor: Room) -> None:
    for tag, pushed, pulled in [
        ("pushed", "2027-01-10T00:00:00.000Z", ""),
        ("pulled", "2026-01-10T00:00:00.000Z", "2027-01-12T00:00:00.000Z"),
        ("old", "2026-01-10T00:00:00.000Z", "2026-03-01T00:00:00.000Z"),
    ]:
        digest = image(tag).push(harbor.registry, REPO, tag)
        harbor.registry.note_times(digest, pushed, pulled)
    result = harbor.clean(f"keep: {{{keep}}}\naction: delete")
    assert result.problem is None
    assert harbor.registry.tags(REPO).keys() == left


def test_a_tag_of_an_image_that_stays_goes_through_harbors_api(harbor: Room) -> None:
    for tag in ("keep", "old1", "old2"):
        image("shared").push(harbor.registry, REPO, tag)
    result = harbor.clean("keep: {tags: [keep]}\naction: delete")
    assert [step.outcome for step in result.steps] == ["untagged", "untagged"]
    assert harbor.registry.tags(REPO).keys() == {"keep"}
    deletions = [each.path for each in harbor.registry.requests if each.method == "DELETE"]
    assert [path.startswith("/api/v2.0/") for path in deletions] == [False, True, True]


def test_where_nothing_tells_dates_nothing_is_planned_for_the_repository(room: Room) -> None:
    image("old").push(room.registry, "app", "old")
    (plan,) = room.plan("keep: {pulled_within: 30d}\naction: delete").repositories
    assert plan.deletions == 0
    assert "does not tell when an image was pulled" in (plan.problem or "")
