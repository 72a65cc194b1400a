"""The tests' tree follows the package's: a room for each room, a wing for each wing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.markdown import ROOT

PACKAGE, TESTS = ROOT / "squashproxy", ROOT / "tests"
NO_ROOM = {"bench", "deploy", "documents", "fuzz", "model", "real"}
"""Folders that tests/README.md describes."""

TABLES = {Path("squash/traps")}
"""Folders of cases, which hold no tests."""

FILES = [path.relative_to(TESTS) for path in sorted(TESTS.rglob("*.py"))]
OF_ROOMS = [path for path in FILES if path.parts[0] not in NO_ROOM]


def test_each_folder_of_tests_is_that_of_a_package() -> None:
    folders = {path.parent for path in OF_ROOMS} - TABLES
    strange = [folder for folder in folders if not (PACKAGE / folder / "__init__.py").exists()]
    assert strange == []


@pytest.mark.parametrize(
    "path", [path for path in OF_ROOMS if path.stem.startswith("test_")], ids=str
)
def test_a_file_with_the_name_of_a_module_stands_where_the_module_does(path: Path) -> None:
    """Several modules of a room may have the name; then it stands beside any of them."""
    name = path.name.removeprefix("test_")
    room = PACKAGE / path.parts[0] if len(path.parts) > 1 else PACKAGE
    found = room.rglob(name) if room != PACKAGE else room.glob(name)
    places = {module.parent.relative_to(PACKAGE) for module in found}
    assert not places or path.parent in places
