"""Odd lists of tags: nothing is deleted if a list may be incomplete; all others are read whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from squashproxy.oci.descriptor import Descriptor
from squashproxy.registry import name_lists
from squashproxy.testing import FakeRegistry, Fault, FaultKind, artifact_manifest
from tests.cleanup.adversary import EMPTY
from tests.cleanup.room import Room, image, pulls_whole
from tests.promotion.pair import SIMPLE, Pair

RULE = "action: delete\nkeep: {tags: ['keep*']}"
LIST = "/v2/app/tags/list"


def page(names: list[str] | None, following: str | None, body: str | None = None) -> Fault:
    """One page of a list of tags."""
    text = json.dumps({"name": "app", "tags": names}) if body is None else body
    link = () if following is None else (("Link", f'<{LIST}?{following}>; rel="next"'),)
    return Fault(
        "GET", "", FaultKind.ANSWER, status=200, headers=link, body=text.encode(), times=999
    )


def lists(room: Room, pages: dict[str, Fault], path: str = LIST) -> None:
    """Answer the pages of the list: by what stands in their query, the first for any other."""
    for mark, fault in sorted(pages.items(), key=lambda each: each[0] == "first"):
        pattern = f"{path}.*{mark}" if mark != "first" else path
        room.registry.arm(replace(fault, path_pattern=pattern))


def fill(room: Room) -> None:
    """`keep1` points to the same image as `old`."""
    image("one").push(room.registry, "app", "old")
    image("one").push(room.registry, "app", "keep1")
    image("two").push(room.registry, "app", "old2")


@pytest.mark.parametrize(
    "second",
    {
        "an empty page": page([], "p=3"),
        "null": page(None, "p=3"),
        "the first page again": page(["old", "old2"], "p=3"),
        "a part of the first page": page(["old2"], "p=3"),
    }.values(),
)
def test_a_list_ends_where_no_next_page_is_named(room: Room, second: Fault) -> None:
    fill(room)
    lists(
        room,
        {"first": page(["old", "old2"], "p=2"), "p=2": second, "p=3": page(["keep1"], None)},
    )
    result = room.clean(RULE)
    assert "keep1" in room.registry.tags("app")
    assert pulls_whole(room.registry, room.registry.tags("app")["keep1"])
    assert result.problem is None


@pytest.mark.parametrize(
    ("pages", "words"),
    {
        "a page that names itself": ({"p=2": page([], "p=2")}, "leads in circles"),
        "a page that names the first": ({"p=2": page([], "n=1000")}, "leads in circles"),
        "an object without a list": ({"p=2": page([], None, "{}")}, "a page without 'tags'"),
        "an error with status 200": (
            {"p=2": page([], None, '{"errors": [{"code": "UNKNOWN"}]}')},
            "a page without 'tags'",
        ),
        "a number": ({"p=2": page([], None, '{"tags": 0}')}, "is no list"),
        "a text": ({"p=2": page([], None, '{"tags": "abc"}')}, "is no list"),
        "an object": ({"p=2": page([], None, '{"tags": {}}')}, "is no list"),
        "an object of names": ({"p=2": page([], None, '{"tags": {"keep1": 1}}')}, "is no list"),
        "a list": ({"p=2": page([], None, '["keep1"]')}, "a page without 'tags'"),
        "a list of numbers": ({"p=2": page([], None, '{"tags": [1]}')}, "what is no name"),
        "a list with null": ({"p=2": page([], None, '{"tags": ["x", null]}')}, "what is no name"),
        "a list of lists": ({"p=2": page([], None, '{"tags": [["keep1"]]}')}, "what is no name"),
        "an error beside no tags": (
            {"p=2": page([], None, '{"errors": [{"code": "UNKNOWN"}], "tags": null}')},
            "reports an error: unknown",
        ),
        "an error beside tags": (
            {"p=2": page([], None, '{"errors": ["busy"], "tags": ["old"]}')},
            "reports an error",
        ),
        "a web page": ({"p=2": page([], None, "<html></html>")}, "not valid JSON"),
        "nothing": ({"p=2": page([], None, "")}, "not valid JSON"),
        "a page that is gone": ({"p=2": Fault(status=404, times=999)}, "is cut short"),
        "a page that fails": ({"p=2": Fault(status=500, times=999)}, "HTTP 500"),
    }.values(),
)
def test_a_list_that_is_not_sure_to_be_whole_deletes_nothing(
    room: Room, pages: dict[str, Fault], words: str
) -> None:
    fill(room)
    lists(room, {"first": page(["old", "old2"], "p=2"), **pages})
    (plan,) = room.plan(RULE).repositories
    assert plan.deletions == 0
    assert words in (plan.problem or "")
    assert room.clean(RULE).problem is not None
    assert len(room.registry.tags("app")) == 3


def test_a_list_that_is_cut_without_a_word_is_asked_to_go_on(rooms: Callable[..., Room]) -> None:
    room = rooms(links=False, page_size=2)
    fill(room)
    result = room.clean(RULE)
    assert result.problem is None
    assert room.registry.tags("app").keys() == {"keep1"}
    assert pulls_whole(room.registry, room.registry.tags("app")["keep1"])


SHORT = {
    "the rule names it": "action: delete\nkeep: {tags: [keep1]}",
    "an earlier run saw it": RULE,
}


@pytest.mark.parametrize("rule", SHORT.values(), ids=SHORT)
def test_a_short_list_is_noticed_by_a_tag_that_is_known(room: Room, rule: str) -> None:
    """The registry cuts its list, names no next page, and ignores `last`."""
    fill(room)
    assert room.plan(RULE).deletions == 2
    lists(room, {"first": page(["old", "old2"], None)})
    (plan,) = room.plan(rule).repositories
    assert plan.deletions == 0
    assert "does not list the tag keep1" in (plan.problem or "")
    assert room.clean(rule).problem is not None
    assert len(room.registry.tags("app")) == 3


@pytest.mark.parametrize("behind", ["ignored", 400, 404, 501])
def test_a_full_page_that_cannot_be_gone_on_with_deletes_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch, behind: str | int
) -> None:
    """No run has seen the tag that is cut off, and no rule names it."""
    monkeypatch.setattr(name_lists, "_PAGE", 2)
    fill(room)
    lists(room, {"first": page(["old", "old2"], None)})
    if isinstance(behind, int):
        lists(room, {"last=": Fault("GET", "", status=behind, times=9)})
    (plan,) = room.plan(RULE).repositories
    assert "may be cut short" in (plan.problem or "")
    assert room.clean(RULE).problem is not None
    assert len(room.registry.tags("app")) == 3


def test_a_list_that_breaks_while_a_plan_is_applied_stops_the_repository(room: Room) -> None:
    fill(room)
    plan = room.plan(RULE)
    lists(room, {"first": page(["old", "old2"], "p=2"), "p=2": page([], None, "{}")})
    result = room.apply(plan)
    assert result.problem is not None
    assert len(room.registry.tags("app")) == 3


def test_referrers_whose_list_leads_in_circles_stop_the_repository(room: Room) -> None:
    built = image("one")
    built.push(room.registry, "app", "old")
    path = f"/v2/app/referrers/{built.digest}"
    room.registry.arm(
        Fault(
            "GET",
            path,
            FaultKind.ALTER,
            headers=(("Link", f'<{path}>; rel="next"'),),
            times=99,
        )
    )
    (plan,) = room.plan(RULE).repositories
    assert "leads in circles" in (plan.problem or "")
    assert plan.deletions == 0


@pytest.mark.parametrize("action", ["delete", "squash"])
def test_an_image_whose_referrers_are_unknown_stays(room: Room, action: str) -> None:
    """A 404 for one digest from a registry that lists those of others."""
    odd, plain = image("odd"), image("plain")
    odd.push(room.registry, "app", "old1")
    plain.push(room.registry, "app", "old2")
    config = Descriptor(EMPTY, room.registry.put_blob("app", b"{}"), 2)
    signature = artifact_manifest(
        "text/plain", [config], config=config, subject=odd.manifest.descriptor
    )
    room.registry.put_manifest("app", None, signature.data, signature.media_type)
    room.registry.arm(Fault("GET", f"/referrers/{odd.digest}", status=404, times=99))
    result = room.clean(f"action: {action}\nkeep: {{tags: [keep]}}")
    assert result.problem is None
    assert room.registry.tags("app")["old1"] == odd.digest
    assert room.registry.tags("app").get("old2") != plain.digest


@pytest.fixture
def pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Pair]:
    with FakeRegistry() as old, FakeRegistry() as new:
        yield Pair(old, new, tmp_path, capsys)


def test_a_mirrored_source_whose_list_ends_too_early_takes_nothing_away(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    rule = f"{SIMPLE}\nmirror_deletions: {{}}"
    pair.promote(rule)
    whole = pair.new.tags("prod/web")
    for body in ('{"tags": ["1"]}', '{"tags": ["1"], "next": "lost"}'):
        pair.old.arm(Fault("GET", "/apps/web/tags/list", status=200, body=body.encode(), times=2))
        code, document, _ = pair.promote(rule)
        assert (code, len(document["problems"])) == (3, 1)
        assert pair.new.tags("prod/web") == whole
        pair.old.disarm()
