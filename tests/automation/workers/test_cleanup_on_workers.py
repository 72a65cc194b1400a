"""Cleanup on workers ends as in one process: plans, deletions, squashes, audit log and undo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.automation.workers.twin import Ended, Registries, Side, Twin, same
from tests.cleanup.room import image
from tests.promotion.pair import sign

_RULES = """cleanup:
  - name: a
    repositories: ["NEW/a/*"]
    action: delete
    keep: {tags: [keep], newest: 1}
    untagged: {older_than: 0s}
  - name: b
    repositories: ["NEW/b/*", "NEW/gone"]
    action: squash
    keep: {tags: [keep]}
  - name: c
    repositories: ["NEW/c"]
    action: delete
    keep: {in_use: [in-use.txt]}
"""


def _push(registries: Registries) -> None:
    new = registries.new
    for repo in ("a/web", "a/api", "b/web", "c"):
        for number, tag in enumerate(("old", "older", "keep"), 1):
            image(f"{repo}{tag}", f"2026-0{number}-01T00:00:00Z").push(new, repo, tag)
        image(f"{repo}old", "2026-01-01T00:00:00Z").push(new, repo, "same")
    sign(new, "b/web", image("b/webolder", "2026-02-01T00:00:00Z").manifest.descriptor)


@pytest.fixture(scope="module")
def twin(shared_twin: Twin) -> Iterator[Twin]:
    shared_twin.fill(_push)
    shared_twin.write(_RULES)
    for side in (shared_twin.local, shared_twin.fleet):
        named = side.registries.named("NEW/c:old\n")
        (side.folder / "in-use.txt").write_text(named)
    with shared_twin.working():
        yield shared_twin


@pytest.fixture(scope="module")
def before(twin: Twin) -> dict[str, str]:
    return twin.local.registries.tags


@pytest.fixture(scope="module")
def planned(twin: Twin, before: dict[str, str]) -> tuple[Ended, Ended]:
    assert before
    return twin.run("cleanup")


@pytest.fixture(scope="module")
def applied(twin: Twin, planned: tuple[Ended, Ended]) -> tuple[Ended, Ended]:
    assert planned
    return twin.run("cleanup", "--apply")


def test_the_plan_is_that_of_one_process(planned: tuple[Ended, Ended]) -> None:
    local, fleet = planned
    assert (local.code, fleet.code) == (3, 3), "one repository does not exist"
    assert _plain(fleet.document) == _plain(local.document)
    going = [each for rule in fleet.document["rules"] for each in rule["repositories"]]
    assert sum(len(each["remove"]) for each in going) == 6
    assert sum(len(each["squash"]) for each in going) == 1


def test_the_result_and_the_tags_are_those_of_one_process(
    twin: Twin, before: dict[str, str], applied: tuple[Ended, Ended]
) -> None:
    local, fleet = applied
    assert (local.code, fleet.code) == (3, 3)
    assert same(fleet.document) == same(local.document)
    assert sorted(fleet.errors.splitlines()) == sorted(local.errors.splitlines())
    there = twin.fleet.registries.tags
    assert there == twin.local.registries.tags
    assert before.keys() - there.keys() == {
        *(f"new a/{name}:{tag}" for name in ("web", "api") for tag in ("old", "older", "same")),
        "new c:older",
        "new c:keep",
        "new c:same",
    }


def test_the_audit_log_is_that_of_one_process(twin: Twin, applied: tuple[Ended, Ended]) -> None:
    local, fleet = (
        entries_of(side, ended.document) for side, ended in zip(_sides(twin), applied, strict=True)
    )
    assert fleet == local
    (own,) = [_lines(path) for path in twin.fleet.folder.glob("worker0/state/audit/*.jsonl")][:1]
    assert own, "the worker keeps a log of its own"


def test_an_undo_puts_everything_back(
    twin: Twin, before: dict[str, str], applied: tuple[Ended, Ended]
) -> None:
    for side, ended in zip(_sides(twin), applied, strict=True):
        undone = side.run("cleanup", "--undo", side.registries.named(ended.document["log"]))
        assert undone.code == 0, undone.errors
        assert side.registries.tags == before


def _sides(twin: Twin) -> tuple[Side, Side]:
    return twin.local, twin.fleet


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """A plan without the time when it was made, and so without its checksum."""
    rules = [{**each, "made": 0} for each in document["rules"]]
    return {**same(document), "rules": rules, "checksum": ""}


def entries_of(side: Side, document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The entries of an audit log, each with its end, in an order of their own."""
    lines = _lines(Path(side.registries.named(document["log"])))
    ends = {line["ended"]: (line["outcome"], *line["tags"]) for line in lines if "ended" in line}
    return sorted(
        (
            side.registries.plain(line["repository"]),
            *(line["action"], line["rule"], line["digest"], line["why"]),
            *(line["manifest"], *line["tags"], ends.get(line["number"], ())),
        )
        for line in lines
        if "number" in line
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
