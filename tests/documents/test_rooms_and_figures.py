"""Diagrams and lists of modules are true, and figures are those that a benchmark measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench import readme
from tests.documents.markdown import ROOT, Document, documents

PACKAGE = ROOT / "squashproxy"
BENCHMARK = "tests/bench/README.md"
ROOMS = [name for name in documents() if re.fullmatch(r"squashproxy/\w+/README\.md", name)]


def _is_there(document: Document, path: str) -> bool:
    """Whether a path exists, from the document's folder, the repository's or the package's."""
    return any((root / path).exists() for root in (document.folder, ROOT, PACKAGE))


def _paths_of(document: Document) -> set[str]:
    """Modules and folders that a document names in backquotes or in a diagram."""
    named = {code for code in document.inline_code if re.fullmatch(r"[\w./-]+\.py", code)}
    for block in document.blocks("text"):
        named |= set(re.findall(r"[\w/]+\.py\b", block.text))
        named |= set(re.findall(r"(?<![\w/])\w+/(?![\w.])", block.text))
    return named


@pytest.mark.parametrize("document", documents().values(), ids=list(documents()))
def test_every_path_in_a_document_exists(document: Document) -> None:
    missing = [path for path in sorted(_paths_of(document)) if not _is_there(document, path)]
    assert missing == []


def _first_cells(text: str) -> list[str]:
    """The names that begin the rows of tables, without their backquotes."""
    return re.findall(r"^\| `([\w./]+)`", text, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in ROOMS if "/server/" not in name])
def test_the_readme_of_a_room_lists_its_wings_and_modules(name: str) -> None:
    """The server's names modules by wing; tests/server/test_readme.py checks it."""
    listed = _first_cells(documents()[name].text)
    assert len(listed) == len(set(listed))
    assert set(listed) == _contents(PACKAGE / Path(name).parent.name)


def _contents(folder: Path) -> set[str]:
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    return modules | {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}


def test_a_room_with_wings_has_a_readme() -> None:
    with_wings = {path.parents[1].name for path in PACKAGE.glob("*/*/__init__.py")}
    without = {Path(name).parent.name for name in ROOMS}
    few = {"report"}  # one wing, `page`, which its package's docstring describes
    assert with_wings - without <= few


def _table(name: str) -> str:
    text = documents()[BENCHMARK].text
    return text.partition(f"<!-- {name} begins -->\n")[2].partition(f"<!-- {name} ends -->")[0]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("benchmark", "results.md"),
        ("serve benchmark", "serve.md"),
        ("promote benchmark", "promote.md"),
        ("steady benchmark", "steady.md"),
    ],
)
def test_a_benchmark_table_is_what_the_benchmark_wrote(name: str, file: str) -> None:
    written = (ROOT / "tests/bench" / file).read_text()
    assert _table(name).strip() == written.strip()


def test_a_benchmark_writes_its_table_between_its_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(documents()[BENCHMARK].text)
    monkeypatch.setattr(readme, "README", copy)
    readme.write_table("serve benchmark", "new\n")
    expected = documents()[BENCHMARK].text.replace(_table("serve benchmark"), "new\n")
    assert copy.read_text() == expected


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("README.md", "## What it costs"),
        ("README.md", "## Squash, prune or copy"),
        ("deploy/README.md", "## Sizing"),
    ],
)
def test_the_figures_of_a_section_were_measured(name: str, heading: str) -> None:
    section = documents()[name].text.partition(heading)[2].partition("\n## ")[0]
    figures = re.findall(r"(?<![\w.,])\d[\d,]*\.\d+|\d+,\d{3}", section)
    assert figures
    assert [figure for figure in figures if figure not in documents()[BENCHMARK].text] == []
