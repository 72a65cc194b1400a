"""Rows that hold anything else than was written cost what is known of one image."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from squashproxy.database import Database
from squashproxy.digest import digest_of
from squashproxy.errors import UsageError
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository, parse_reference
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.promotions import PromotionMemory
from squashproxy.state.runs import RunHistory
from squashproxy.state.tags import TagMemory
from tests.cli.command_line import InProcess

ODD = (None, 5, 1.5, "x", "", b"", b"x", "sha256:", "../x", "[]", '{"plain": 5}', '{"held": {}}')
APP = Repository("h.example", "app")
RAW = RawManifest(b"{}", "application/vnd.oci.image.manifest.v1+json")
DIGEST = RAW.digest
IMAGE = parse_reference("h.example/app:1")
NOW = 1.8e9

Read = Callable[[Database], object]

READERS: dict[str, tuple[str, Read]] = {
    "manifests": ("manifests", lambda db: ManifestMemory(db, lambda: NOW).find(DIGEST)),
    "dates": ("manifests", lambda db: ManifestMemory(db, lambda: NOW).created(DIGEST)),
    "unused": ("manifests", lambda db: ManifestMemory(db, lambda: NOW).forget_unused()),
    "tags": ("tags", lambda db: TagMemory(db).tags(APP)),
    "noted": ("tags", lambda db: TagMemory(db).note(APP, {"1": DIGEST}, NOW)),
    "untagged": ("untagged", lambda db: TagMemory(db).untagged(APP)),
    "promoted": ("promoted", lambda db: PromotionMemory(db).all_of("r")),
    "owners": ("promoted", lambda db: PromotionMemory(db).owners(IMAGE)),
    "layers": ("promoted", lambda db: PromotionMemory(db).find_layers("r", IMAGE, DIGEST)),
    "the last run": ("runs", lambda db: RunHistory(db).last("promote", "r")),
    "the newest runs": ("runs", lambda db: RunHistory(db).newest(5)),
    "counts": ("runs", lambda db: RunHistory(db).counts()),
}

ROWS: dict[str, dict[str, object]] = {
    "manifests": {
        "digest": DIGEST, "media_type": RAW.media_type, "data": RAW.data, "created": 5.0,
        "has_created": 1, "used": 5,
    },
    "tags": {"repository": str(APP), "tag": "1", "digest": DIGEST},
    "untagged": {"repository": str(APP), "digest": digest_of(b"x"), "since": 5.0},
    "promoted": {
        "rule": "r", "target": str(IMAGE), "source": str(IMAGE), "digest": DIGEST,
        "layers": '{"plain": {}, "held": {}}',
    },
    "runs": {
        "section": "promote", "rule": "r", "due": 5.0, "started": 5.0, "ended": 6.0,
        "outcome": "done", "summary": "", "document": "",
    },
}  # fmt: skip


@pytest.mark.parametrize(("table", "read"), READERS.values(), ids=READERS)
def test_a_value_of_another_type_is_ignored(table: str, read: Read) -> None:
    for column in ROWS[table]:
        for odd in ODD:
            row = {**ROWS[table], column: odd}
            with open_state(None) as database:
                marks = ", ".join("?" * len(row))
                statement = f"INSERT OR IGNORE INTO {table}({', '.join(row)}) VALUES({marks})"
                database.write(statement, tuple(row.values()))
                read(database)


def test_a_row_that_is_left_out_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with open_state(None) as database:
        for tag, digest in (("1", DIGEST), ("2", "x")):
            database.write("INSERT INTO tags VALUES(?, ?, ?)", (str(APP), tag, digest))
        with caplog.at_level(logging.WARNING):
            assert TagMemory(database).tags(APP) == {"1": DIGEST}
    assert caplog.messages == ["1 of the tags in the state cannot be read; ignored"]


def test_a_damaged_file_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    with open_state(state) as database:
        for number in range(200):
            row = (digest_of(b"%d" % number), RAW.media_type, b"x" * 500)
            database.write("INSERT INTO manifests(digest, media_type, data) VALUES(?, ?, ?)", row)
    path = state / "state.db"
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    config = tmp_path / "sp.yml"
    config.write_text(
        f"state: {state}\ncleanup:\n"
        "  - {name: a, repositories: ['127.0.0.1:1/a'], keep: {newest: 1}, action: delete}\n"
    )
    outcome = InProcess(capsys)("cleanup", str(config))
    assert outcome.code == 2
    assert "state.db cannot be used: " in outcome.err
    assert outcome.err.count("\n") == 1


def test_another_error_of_the_file_is_ours(tmp_path: Path) -> None:
    with open_state(tmp_path) as database, pytest.raises(UsageError, match="cannot be used"):
        database.read("SELECT * FROM nothing")
