"""The audit log, and putting back what it says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cleanup.apply.undo import undo
from squashproxy.cleanup.results import StepOutcome
from squashproxy.errors import UsageError
from squashproxy.testing import Fault, FaultKind, TagDeletion
from tests.cleanup.room import Room, image, pulls_whole

RULE = "action: delete\nkeep: {tags: ['keep*']}"


def test_what_was_left_is_not_brought_back_once_somebody_else_deletes_it(
    rooms: Callable[..., Room],
) -> None:
    room = rooms(tag_deletion=TagDeletion.REFUSED)
    image("shared").push(room.registry, "app", "keep")
    image("shared").push(room.registry, "app", "old")
    assert room.clean(RULE).count(StepOutcome.LEFT) == 1
    room.registry.drop_tag("app", "old")
    undo(room.client, read_log(room.logs[0]))
    assert room.registry.tags("app").keys() == {"keep"}


def test_a_tag_that_somebody_else_deletes_before_its_image_goes_is_not_brought_back(
    room: Room,
) -> None:
    for tag in ("old1", "old2"):
        image("shared").push(room.registry, "app", tag)
    room.intervene(lambda: room.registry.drop_tag("app", "old2"), "HEAD", "/manifests/old2", skip=1)
    room.clean(RULE)
    undo(room.client, read_log(room.logs[0]))
    assert room.registry.tags("app").keys() == {"old1"}


def test_an_entry_that_fails_stops_no_other_and_is_told(room: Room) -> None:
    for number in range(3):
        image(number).push(room.registry, "app", f"old{number}")
    room.clean(RULE)
    room.registry.arm(Fault("PUT", "/manifests/old1", FaultKind.ANSWER, status=403, times=9))
    result = undo(room.client, read_log(room.logs[0]))
    assert result.failures == 1
    assert [step.outcome for step in result.steps].count(StepOutcome.RESTORED) == 2
    assert room.registry.tags("app").keys() == {"old0", "old2"}


def test_a_registry_that_stores_something_else_stops_no_other_entry(room: Room) -> None:
    """The error is a wrong digest, not a refusal."""
    for number in range(2):
        image(number).push(room.registry, "app", f"old{number}")
    room.clean(RULE)
    lie = (("Docker-Content-Digest", f"sha256:{'0' * 64}"),)
    room.registry.arm(Fault("PUT", "/manifests/", FaultKind.ANSWER, status=201, headers=lie))
    result = undo(room.client, read_log(room.logs[0]))
    assert (result.failures, len(result.steps)) == (1, 2)


def test_a_log_that_lacks_the_end_of_its_last_deletion_brings_that_back(room: Room) -> None:
    """The process was killed between the deletion and the line after it."""
    built = image("old")
    built.push(room.registry, "app", "old")
    room.clean(RULE)
    lines = room.logs[0].read_bytes().splitlines(keepends=True)
    room.logs[0].write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    undo(room.client, read_log(room.logs[0]))
    assert pulls_whole(room.registry, built.digest)
    assert room.registry.tags("app").keys() == {"old"}


def test_a_log_of_an_earlier_version_is_read(room: Room) -> None:
    built = image("old")
    built.push(room.registry, "app", "old")
    room.clean(RULE)
    (first, *_) = room.logs[0].read_bytes().splitlines()
    fields = json.loads(first)
    del fields["number"]
    room.logs[0].write_text(json.dumps(fields) + "\n")
    undo(room.client, read_log(room.logs[0]))
    assert room.registry.tags("app").keys() == {"old"}


def put(key: str, value: Any) -> Callable[[list[Any]], None]:
    def edit(lines: list[Any]) -> None:
        lines[0][key] = value

    return edit


def put_last(key: str, value: Any) -> Callable[[list[Any]], None]:
    def edit(lines: list[Any]) -> None:
        lines[-1][key] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    {
        "a tag that leads elsewhere": put("tags", ["../../other/manifests/keep"]),
        "a text for a list": put("tags", "abc"),
        "numbers": put("tags", [1]),
        "null": put("tags", None),
        "another digest": put("digest", f"sha256:{'1' * 64}"),
        "another digest of another kind": put("digest", f"sha512:{'1' * 128}"),
        "no digest": put("digest", "keep"),
        "another manifest": put("manifest", base64.b64encode(b"{}").decode()),
        "no base64": put("manifest", "!"),
        "a repository that leads elsewhere": put("repository", "h.example.com/../x"),
        "a media type that is none": put("media_type", ["x"]),
        "another format": put("format", "squashproxy cleanup plan"),
        "an end of something else": put_last("ended", 7),
        "an end with tags that the entry has not": put_last("tags", ["keep"]),
        "an end that is a list": put_last("outcome", []),
        "a line that is no object": lambda lines: lines.insert(0, [1]),
    }.values(),
)
def test_an_edited_log_is_refused(
    room: Room, tmp_path: Path, edit: Callable[[list[Any]], None]
) -> None:
    image("old").push(room.registry, "app", "old")
    room.clean(RULE)
    lines = [json.loads(line) for line in room.logs[0].read_bytes().splitlines()]
    edit(lines)
    path = tmp_path / "edited.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UsageError, match=r"edited.jsonl:[12]: this is no entry of an audit log"):
        read_log(path)
