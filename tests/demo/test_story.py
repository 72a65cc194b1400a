"""The demo as a user runs it: it proves its point, or says that it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from squashproxy.demo import story
from squashproxy.transports.base import ImageSource
from squashproxy.verify import verification
from squashproxy.verify.results import Difference, VerifyResult
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
    assert result["verify"]["identical"]
    (proof,) = result["verify"]["platforms"]
    assert proof["differences"] == []
    assert proof["paths"] > 100
    assert result["plan"]["platforms"][0]["largest_hidden"]


def test_the_demo_tells_its_story(squashproxy: InProcess) -> None:
    outcome = squashproxy("demo")
    assert (outcome.code, outcome.err) == (0, "")
    for number in range(1, 6):
        assert f"\n{number}. " in f"\n{outcome.out}"
    assert "the same tree" in outcome.out
    assert "Nothing to do" in outcome.out
    assert outcome.out.endswith("with the same files inside.\n")


def test_a_difference_fails_the_demo(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    difference = Difference("etc/motd", "missing", "file", "absent")

    def verify_images(*sources: ImageSource, **options: Any) -> VerifyResult:
        result = verification.verify_images(*sources, **options)
        (platform,) = result.platforms
        platform = replace(platform, differences_count=1, differences=(difference,))
        return replace(result, identical=False, platforms=(platform,))

    monkeypatch.setattr(story, "verify_images", verify_images)
    outcome = squashproxy("demo")
    assert outcome.code == 4
    assert "1 difference" in outcome.out
    assert "  /etc/motd (file)\n" in outcome.out
    assert outcome.out.endswith("and the trees differ.\n")
