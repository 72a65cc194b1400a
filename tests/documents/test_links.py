"""Documents lead somewhere: links, paths and the map are true."""

from __future__ import annotations

import re

import pytest

from tests.documents.markdown import ROOT, Document, documents, tracked_files

PLANS = re.compile(r"\b(DESIGN|INTERFACE|HOUSE)\.md\b")
"""Documents of the makers that are not in the repository."""
OURS = "tests/documents/test_links.py"
ARCHITECTURE = "squashproxy/ARCHITECTURE.md"

each_document = pytest.mark.parametrize("document", documents().values(), ids=documents())


@each_document
def test_relative_links_lead_to_files_and_headings(document: Document) -> None:
    for link in document.links:
        if link.startswith(("http://", "https://", "#")):
            continue
        path, _, heading = link.partition("#")
        target = (document.folder / path).resolve()
        assert target.exists(), f"{link} leads nowhere"
        if heading:
            name = str(target.relative_to(ROOT))
            assert heading in documents()[name].anchors, f"{link} names no heading"


@each_document
def test_paths_in_backquotes_exist(document: Document) -> None:
    for text in document.inline_code:
        if re.fullmatch(r"(squashproxy|tests|deploy)/[\w./-]+", text):
            assert (ROOT / text).exists(), f"{text} does not exist"


def test_nothing_cites_a_document_that_is_not_here() -> None:
    citing = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix in (".py", ".md", ".toml", ".yml", ".yaml")
        and PLANS.search(path.read_text())
    ]
    assert [name for name in citing if name != OURS] == []


def test_every_room_has_its_line_in_the_map() -> None:
    text = documents()[ARCHITECTURE].text
    rooms = [path.parent.name for path in (ROOT / "squashproxy").glob("*/__init__.py")]
    missing = [room for room in rooms if not re.search(rf"`{room}/?`", text)]
    assert missing == []
