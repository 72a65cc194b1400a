"""The database file of the state. Times in it are unix seconds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from squashproxy.database import Database
from squashproxy.errors import UsageError, reason_of

_NAME = "state.db"
_BUSY_SECONDS = 30.0
_FIRST = """
CREATE TABLE manifests(
    digest TEXT PRIMARY KEY, media_type TEXT NOT NULL, data BLOB NOT NULL, created REAL,
    has_created INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE tags(
    repository TEXT, tag TEXT, digest TEXT NOT NULL, PRIMARY KEY(repository, tag)
) WITHOUT ROWID;
CREATE TABLE untagged(
    repository TEXT, digest TEXT, since REAL NOT NULL, PRIMARY KEY(repository, digest)
) WITHOUT ROWID;
CREATE TABLE promoted(
    rule TEXT, target TEXT, source TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY(rule, target)
) WITHOUT ROWID;
CREATE TABLE runs(
    id INTEGER PRIMARY KEY, section TEXT NOT NULL, rule TEXT NOT NULL, due REAL,
    started REAL NOT NULL,
    ended REAL, outcome TEXT, summary TEXT, document TEXT
);
CREATE INDEX runs_by_rule ON runs(section, rule, started);
"""
_USED = """
ALTER TABLE manifests ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE manifests SET used = strftime('%s', 'now') / 86400;
CREATE INDEX manifests_by_use ON manifests(used);
"""
_LAYERS = "ALTER TABLE promoted ADD COLUMN layers TEXT;"


def open_state(folder: Path | None) -> Database:
    """Open the database in a folder; without a folder it is in memory and lost at the end.

    Raises UsageError where it cannot be opened.
    """
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = None if folder is None else folder / _NAME
        return Database(place, (_FIRST, _USED, _LAYERS), patience=_BUSY_SECONDS)
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"{folder} cannot hold the state: {error}", advice="name another folder as `state`"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {reason_of(error)}", advice="name another folder as `state`"
        ) from error
