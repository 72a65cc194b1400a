"""Saved plans: only what the rule would still do is done, whatever the file says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cleanup.plan import CleanupPlan, RulePlan
from squashproxy.cleanup.plan_file import plan_document, read_plan, write_plan
from squashproxy.cleanup.results import StepOutcome
from squashproxy.digest import digest_of
from squashproxy.errors import PlanRefused, UsageError
from squashproxy.testing import Fault, FaultKind, index_of
from tests.cleanup.room import DAY, NOW, Room, image

RULE = "action: delete\nkeep: {tags: ['keep*']}"
HOUR = 3600.0


def fill(room: Room) -> None:
    for tag in ("keep", "old1", "old2"):
        image(tag).push(room.registry, "app", tag)


def test_a_plan_that_still_holds_is_applied(room: Room, tmp_path: Path) -> None:
    fill(room)
    write_plan(CleanupPlan((room.plan(RULE),)), tmp_path / "plan.json")
    (plan,) = read_plan(tmp_path / "plan.json").rules
    result = room.apply_saved(plan, RULE)
    assert (result.problem, result.count(StepOutcome.DELETED)) == (None, 2)
    assert room.registry.tags("app").keys() == {"keep"}


def protected_by_a_list(room: Room) -> str:
    (room.folder / "pods").write_text(f"{room.registry.host}/app:old1\n")
    return f"action: delete\nkeep: {{tags: ['keep*'], in_use: ['{room.folder}/pods']}}"


@pytest.mark.parametrize(
    ("rule", "why"),
    {
        "a list of images in use": (protected_by_a_list, "it is in use (pods)"),
        "a pattern": (lambda _: RULE.replace("'keep*'", "'keep*', old1"), "it matches old1"),
        "a date": (lambda _: f"{RULE[:-1]}, younger_than: 30000d}}", "it was made within"),
        "what it is about": (lambda _: f"{RULE}\ntags: {{exclude: [old1]}}", "not about it"),
    }.values(),
)
def test_a_tag_that_is_kept_now_is_refused_by_name(
    room: Room, rule: Callable[[Room], str], why: str
) -> None:
    fill(room)
    plan = room.plan(RULE)
    result = room.apply_saved(plan, rule(room))
    assert "the plan takes old1 away, which stays now" in (result.problem or "")
    assert why in (result.problem or "")
    assert room.registry.tags("app").keys() == {"keep", "old1", "old2"}


def test_a_platform_that_a_kept_index_needs_by_now_is_refused(room: Room) -> None:
    one, two = image("one"), image("two")
    index_of([one, two]).push(room.registry, "app", "late")
    one.push(room.registry, "app", "old")
    plan = room.plan(RULE)
    result = room.apply_saved(plan, RULE.replace("'keep*'", "late"))
    assert "late" in (result.problem or "")
    assert room.registry.tags("app").keys() == {"late", "old"}


@pytest.mark.parametrize(
    ("made", "rule", "sentence"),
    {
        "a day and an hour": (NOW - DAY - HOUR, RULE, "25.0 hours old, more than its max_plan_age"),
        "1970": (0.0, RULE, "hours old"),
        "more than the rule allows": (NOW - 2 * HOUR, f"{RULE}\nmax_plan_age: 1h", "2.0 hours old"),
        "the future": (NOW + HOUR, RULE, "a date in the future"),
    }.values(),
)
def test_the_age_of_a_plan_is_bounded(room: Room, made: float, rule: str, sentence: str) -> None:
    fill(room)
    plan = room.plan(RULE)
    old = RulePlan(plan.rule, plan.action, made, plan.repositories)
    with pytest.raises(PlanRefused, match=sentence):
        room.apply_saved(old, rule)
    assert len(room.registry.tags("app")) == 3


def test_an_age_that_the_rule_allows_is_no_hindrance(room: Room) -> None:
    fill(room)
    plan = room.plan(RULE)
    room.clock += 6 * DAY
    result = room.apply_saved(plan, f"{RULE}\nmax_plan_age: 7d")
    assert result.count(StepOutcome.DELETED) == 2


@pytest.mark.parametrize("kind", ["image", "index"])
def test_a_saved_plan_that_broke_off_is_taken_up_again(room: Room, kind: str) -> None:
    image("kept").push(room.registry, "app", "keep")
    for number in range(3):
        one, two = image(f"{number}a"), image(f"{number}b")
        (one if kind == "image" else index_of([one, two])).push(
            room.registry, "app", f"old{number}"
        )
    plan = room.plan(RULE)
    room.registry.arm(Fault("DELETE", "/manifests/", FaultKind.ANSWER, status=500, times=5, skip=2))
    assert room.apply_saved(plan, RULE).problem is not None
    result = room.apply_saved(plan, RULE)
    assert (result.problem, result.count(StepOutcome.GONE)) == (None, 2)
    assert room.registry.tags("app").keys() == {"keep"}
    assert len(room.registry.manifests("app")) == 1


def edited(plan: RulePlan, edit: Callable[[Any], None], *, signed: bool) -> str:
    """The text of a plan's file after an edit, with or without a checksum that fits."""
    document = json.loads(json.dumps(plan_document(CleanupPlan((plan,)))))
    edit(document["rules"][0]["repositories"][0])
    if signed:
        del document["checksum"]
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        document["checksum"] = digest_of(text.encode())
    return json.dumps(document)


def test_an_edited_plan_is_refused(room: Room, tmp_path: Path) -> None:
    fill(room)
    path = tmp_path / "plan.json"
    path.write_text(edited(room.plan(RULE), lambda each: each.update(bytes=1), signed=False))
    with pytest.raises(UsageError, match="was edited, or is not whole: its checksum is wrong"):
        read_plan(path)


def replace_digest(digest: str) -> Callable[[Any], None]:
    def edit(repository: Any) -> None:
        repository["remove"][0]["digest"] = digest

    return edit


def replace_tags(tags: Any) -> Callable[[Any], None]:
    def edit(repository: Any) -> None:
        repository["remove"][0]["tags"] = tags

    return edit


@pytest.mark.parametrize(
    "edit",
    {
        "a tag that leads elsewhere": replace_tags(["../../other/repo/manifests/keep"]),
        "a tag with a slash": replace_tags(["a/b"]),
        "a text for a list": replace_tags("abc"),
        "numbers for tags": replace_tags([1, 2]),
        "null for tags": replace_tags(None),
        "null as a tag": replace_tags([None]),
        "a digest that leads elsewhere": replace_digest("../../other/manifests/keep"),
        "a digest that is a tag": replace_digest("keep"),
        "a number for a digest": replace_digest(7),  # type: ignore[arg-type]
        "a repository that leads elsewhere": lambda each: each.update(repository="h/../x"),
        "a plan without tags": lambda each: each.pop("tags"),
        "a key of no plan": lambda each: each.update(more=1),
        "a text for a size": lambda each: each.update(bytes="7"),
    }.values(),
)
def test_names_and_kinds_are_checked_though_the_checksum_fits(
    room: Room, tmp_path: Path, edit: Callable[[Any], None]
) -> None:
    fill(room)
    path = tmp_path / "plan.json"
    path.write_text(edited(room.plan(RULE), edit, signed=True))
    with pytest.raises(UsageError, match="is no plan"):
        read_plan(path)


def test_the_digest_of_what_is_kept_is_not_deleted_by_a_hostile_plan(
    room: Room, tmp_path: Path
) -> None:
    fill(room)
    kept = room.registry.tags("app")["keep"]
    path = tmp_path / "plan.json"
    path.write_text(edited(room.plan(RULE), replace_digest(kept), signed=True))
    result = room.apply_saved(read_plan(path).rules[0], RULE)
    assert "something that stays needs it" in (result.problem or "")
    assert room.registry.tags("app").keys() == {"keep", "old1", "old2"}


def test_a_hostile_plan_reaches_no_manifest_that_the_rule_does_not_take_away(
    room: Room, tmp_path: Path
) -> None:
    """The manifest has no tag, and no run saw it lose one."""
    fill(room)
    alone = image("alone")
    alone.push(room.registry, "app", None)
    path = tmp_path / "plan.json"
    path.write_text(edited(room.plan(RULE), replace_digest(alone.digest), signed=True))
    result = room.apply_saved(read_plan(path).rules[0], RULE)
    assert result.problem is not None
    assert alone.digest in room.registry.manifests("app")


def test_a_plan_for_another_repository_is_refused(room: Room) -> None:
    fill(room)
    image("x").push(room.registry, "other", "old")
    plan = room.plan(RULE)
    (there,) = plan.repositories
    moved = RulePlan(
        plan.rule,
        plan.action,
        plan.made,
        (type(there)(f"{room.registry.host}/other", there.tags, remove=there.remove),),
    )
    with pytest.raises(UsageError, match="which old is not about"):
        room.apply_saved(moved, RULE)


def test_bounds_hold_for_what_the_file_really_takes_away(room: Room) -> None:
    fill(room)
    with pytest.raises(PlanRefused, match="max_deletions of 1"):
        room.apply_saved(room.plan(RULE), f"{RULE}\nmax_deletions: 1")


def test_an_image_that_was_signed_since_is_not_squashed_by_the_old_plan(room: Room) -> None:
    built = image("plain")
    built.push(room.registry, "app", "one")
    plan = room.plan("action: squash")
    tag = built.digest.replace(":", "-") + ".sig"
    image("signature").push(room.registry, "app", tag)
    result = room.apply_saved(plan, "action: squash")
    assert result.problem is not None
    assert room.registry.tags("app")["one"] == built.digest
