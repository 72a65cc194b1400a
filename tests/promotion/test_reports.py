"""Reports of refused images, and of images that were never reached."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from squashproxy.cli.main import run
from tests.promotion.pair import Pair

ONE = "from: OLD/apps/*\nto: NEW/prod/{name}"


@pytest.fixture
def promoted(pair: Pair) -> str:
    """A run with two images that collide, one that is copied, and one invalid name."""
    for repo in ("apps/a/web", "apps/b/web", "apps/other"):
        pair.push(repo, "1")
    pair.push("apps/other", "a b")
    code, _, err = pair.promote(ONE, "--junit", str(pair.folder / "j.xml"))
    assert code == 3
    return err


def test_a_refusal_is_a_failed_case_for_pipelines(pair: Pair, promoted: str) -> None:
    suites = ET.parse(pair.folder / "j.xml").getroot()
    found = {suite.attrib["name"]: suite for suite in suites}
    assert (found["apps"].attrib["tests"], found["apps"].attrib["failures"]) == ("3", "2")
    messages = [each.attrib["message"] for each in found["apps"].findall(".//failure")]
    assert all("both go to" in message for message in messages)
    assert found["problems"].attrib["failures"] == "1"
    [problem] = found["problems"].findall(".//failure")
    assert "names that are no tags" in problem.attrib["message"]
    assert "3 of 4 failed" in promoted


def test_people_are_told_each_refusal_and_how_many_there_are(pair: Pair, promoted: str) -> None:
    assert promoted.count("refused: ") == 2
    assert run(["promote", "--dry-run", str(pair.folder / "sp.yml")]) == 3
    out = pair.captured.readouterr().out
    assert out.count("both go to") == 2
    assert "1 up to date, 2 refused" in out
    assert "names that are no tags, such as 'a b'; they are left out" in out
