"""The database file of the state. Times in it are unix seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from squashproxy.database import Database, shortage_behind
from squashproxy.errors import UsageError, advice_of, reason_of

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


class _State(Database):
    """The database of the state, whose errors are of our own."""

    def __init__(self, place: Path | None, schemas: Sequence[str], *, patience: float) -> None:
        self._place = place
        self._is_open = False
        super().__init__(place, schemas, patience=patience)
        self._is_open = True

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises UsageError for a damaged file."""
        with self._told():
            return super().read(statement, values)

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; see Database. Raises UsageError for a damaged file."""
        with self._told():
            return super().write(statement, values)

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row. Raises UsageError for a damaged file."""
        with self._told():
            super().write_many(statement, rows)

    @contextmanager
    def changes(self) -> Iterator[None]:
        """A block whose changes are all made, or none. Raises UsageError for a damaged file."""
        with self._told(), super().changes():
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not self._is_open:
                raise
            shortage = shortage_behind(error)
            if shortage is not None:
                raise _unusable(self._place, shortage) from error
            raise UsageError(
                f"{self._place} cannot be used: {error}",
                advice="if it is damaged, move it away: the next run begins a new one, and only "
                "forgets what lost its tag and what was promoted",
            ) from error


def open_state(folder: Path | None) -> Database:
    """Open the database in a folder; without a folder it is in memory and lost at the end.

    Raises UsageError where it cannot be opened.
    """
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = None if folder is None else folder / _NAME
        return _State(place, (_FIRST, _USED, _LAYERS), patience=_BUSY_SECONDS)
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"{folder} cannot hold the state: {error}", advice="name another folder as `state`"
        ) from error
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(place: Path | None, error: OSError) -> UsageError:
    return UsageError(
        f"{place} cannot hold the state: {reason_of(error)}",
        advice=advice_of(error, "name another folder as `state`"),
    )
