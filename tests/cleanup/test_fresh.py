"""A repository that is pushed to while a cleanup is under way is planned again, within bounds."""

from __future__ import annotations

import pytest

from tests.cleanup.room import Room, image

DELETE = "keep: {tags: ['keep', 'new*']}\naction: delete"


def push_old(room: Room, count: int) -> None:
    image("kept").push(room.registry, "app", "keep")
    for number in range(count):
        image(number).push(room.registry, "app", f"old{number}")


def test_a_push_after_the_plan_is_planned_with(room: Room) -> None:
    push_old(room, 2)
    plan = room.plan(DELETE)
    image("pushed").push(room.registry, "app", "new")
    result = room.apply_fresh(plan, DELETE)
    assert result.problem is None
    assert room.registry.tags("app").keys() == {"keep", "new"}


def test_a_push_between_two_deletions_is_planned_with_and_both_attempts_are_told(
    room: Room,
) -> None:
    push_old(room, 3)
    plan = room.plan(DELETE)
    pushed = image("pushed")
    room.on_step = lambda _: pushed.push(room.registry, "app", "new")  # type: ignore[assignment]
    result = room.apply_fresh(plan, DELETE)
    assert result.problem is None
    assert [step.outcome for step in result.steps] == ["deleted"] * 3
    assert room.registry.tags("app").keys() == {"keep", "new"}


def test_a_tag_that_was_to_go_and_is_needed_by_a_push_stays(room: Room) -> None:
    push_old(room, 2)
    plan = room.plan(DELETE)
    image(0).push(room.registry, "app", "new")
    room.apply_fresh(plan, DELETE)
    held = room.registry.tags("app")
    assert held["new"] == image(0).digest
    assert "old1" not in held


def test_a_repository_that_never_rests_is_left_in_the_end(room: Room) -> None:
    push_old(room, 9)
    plan = room.plan(DELETE)
    pushed = 0

    def push(_: str) -> None:
        nonlocal pushed
        pushed += 1
        image(f"new {pushed}").push(room.registry, "app", f"new{pushed}")

    room.on_step = push
    result = room.apply_fresh(plan, DELETE)
    assert "was pushed to" in (result.problem or "")
    assert {"keep", *(f"new{number + 1}" for number in range(pushed))} <= room.registry.tags(
        "app"
    ).keys()


@pytest.mark.parametrize(
    ("bound", "left"),
    [(2, {"keep", "old0", "old1", "old2"}), (3, {"keep"})],
    ids=["below", "enough"],
)
def test_what_is_planned_again_keeps_to_max_deletions(
    bound: int, left: set[str], room: Room
) -> None:
    push_old(room, 2)
    text = f"{DELETE}\nmax_deletions: {bound}"
    plan = room.plan(text)
    image(2).push(room.registry, "app", "old2")
    result = room.apply_fresh(plan, text)
    assert room.registry.tags("app").keys() == left
    assert (result.problem is None) == (bound == 3)
    assert bound == 3 or "max_deletions of old, 2" in (result.problem or "")


def test_what_went_before_the_second_plan_counts_against_max_deletions(room: Room) -> None:
    push_old(room, 3)
    text = f"{DELETE}\nmax_deletions: 3"
    plan = room.plan(text)
    pushed = image("pushed")
    room.on_step = lambda _: pushed.push(room.registry, "app", "old9")  # type: ignore[assignment]
    result = room.apply_fresh(plan, text)
    assert result.changes == 1
    assert "max_deletions" in (result.problem or "")
    assert len(room.registry.tags("app")) == 4
