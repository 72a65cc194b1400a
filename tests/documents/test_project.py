"""Files about the project itself: metadata, changelog and hooks."""

from __future__ import annotations

import re
import tomllib

import yaml

import squashproxy
from tests.documents.markdown import ROOT, documents

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def test_the_metadata_is_true() -> None:
    assert "urls" not in PROJECT, "there is no address that could be promised"
    oldest = PROJECT["requires-python"].removeprefix(">=")
    classifiers = PROJECT["classifiers"]
    assert f"Programming Language :: Python :: {oldest}" in classifiers
    assert len(set(classifiers)) == len(classifiers)
    assert PROJECT["keywords"] == sorted(PROJECT["keywords"])


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = documents()["CHANGELOG.md"].text
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    for version in versions[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version), version
    for part in text.split("\n## ")[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]
    assert squashproxy.__version__ in text


def test_hooks_are_local_and_their_programs_come_with_the_environment() -> None:
    written = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in written["repos"]] == ["local"]
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tools = {re.split(r"[>=]", name)[0] for name in extra["test"]} | {"python"}
    names = {"lint-imports": "import-linter"}
    for hook in written["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        folder, _, program = hook["entry"].split()[0].rpartition("/")
        assert folder == ".venv/bin"
        assert names.get(program, program) in tools
