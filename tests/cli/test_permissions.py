"""A denied permission is named: which file or directory, and what the user may not do there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from squashproxy.cli.permissions import missing_permission
from tests.cli.command_line import InProcess

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Act as a user who owns nothing; root alone can do that, and is denied nothing."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that everybody may search; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize(
    ("modes", "path", "missing"),
    [
        ({"closed": 0o000}, "closed/file", "search the directory {folder}/closed"),
        ({"file": 0o000}, "file", "read it"),
        ({"file": 0o444}, "file", "write it"),
        ({"there": 0o555}, "there/new", "write to the directory {folder}/there"),
    ],
    ids=["a directory on the way", "a file to read", "a file to write", "a new file"],
)
def test_what_is_missing(folder: Path, modes: dict[str, int], path: str, missing: str) -> None:
    for name, mode in modes.items():
        place = folder / name
        if name == "file":
            place.touch()
        else:
            place.mkdir()
        place.chmod(mode)
    with as_nobody():
        said = missing_permission(folder / path)
    assert said == "this user may not " + missing.format(folder=folder)


def test_the_command_names_file_and_permission(
    squashproxy: InProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "config"))

    monkeypatch.setattr("squashproxy.config.read.read_configuration", deny)
    folder.chmod(0o555)
    with as_nobody():
        outcome = squashproxy("config", "check", str(folder / "config"))
    assert outcome.code == 1
    assert outcome.err == (
        f"squashproxy: {folder / 'config'}: permission denied: this user may not write to the "
        f"directory {folder}\n"
    )
