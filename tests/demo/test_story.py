"""The demo as a user runs it: it proves its point, or says that it does not."""

from __future__ import annotations

import json

import pytest

from squashproxy.demo import story
from squashproxy.demo.trees import Tree, differences
from tests.cli.command_line import InProcess


def test_the_demo_squashes_proves_and_skips(squashproxy: InProcess) -> None:
    outcome = squashproxy("demo", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    result = json.loads(outcome.out)
    (platform,) = result["copy"]["platforms"]
    assert platform["layers_before"] == 5
    assert platform["layers_after"] == 2
    assert platform["compressed_after"] < platform["compressed_before"]
    assert platform["hidden_bytes"] > 0
    assert platform["mounted_blobs"] == 1
    assert result["second_copy"]["skipped"]
    assert result["differences"] == []
    assert result["paths"] > 100
    assert result["plan"]["platforms"][0]["largest_hidden"]


def test_the_demo_tells_its_story(squashproxy: InProcess) -> None:
    outcome = squashproxy("demo")
    assert (outcome.code, outcome.err) == (0, "")
    for number in range(1, 6):
        assert f"\n{number}. " in f"\n{outcome.out}"
    assert "no difference" in outcome.out
    assert "Nothing to do" in outcome.out
    assert outcome.out.endswith("with the same files inside.\n")


def test_a_difference_fails_the_demo(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_a_path(before: Tree, after: Tree) -> list[str]:
        return differences(before, dict(list(after.items())[1:]))

    monkeypatch.setattr(story, "differences", without_a_path)
    outcome = squashproxy("demo")
    assert outcome.code == 4
    assert "The trees differ in 1 path" in outcome.out
    assert outcome.out.endswith("and the trees differ.\n")
