"""The file in which everything is remembered: SQLite, since a process may be killed at any time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from squashproxy.errors import UsageError, reason_of

_NAME = "state.db"
_VERSION = 1
_BUSY_SECONDS = 30.0
_SCHEMA = """
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


class Database:
    """Usable from several threads, and by several processes at once. Times are unix seconds.

    Without a folder, everything is forgotten at the end.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = threading.RLock()
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            place = ":memory:" if folder is None else str(folder / _NAME)
            self._db = sqlite3.connect(
                place, check_same_thread=False, isolation_level=None, timeout=_BUSY_SECONDS
            )
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"{folder} cannot hold the state: {error}; name another folder as `state`"
            ) from error
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be made: {reason_of(error)}; name another folder as `state`"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def changes(self) -> Iterator[None]:
        """All changes in the block, or none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one change; the number of the row that it made."""
        with self._lock:
            return self._db.execute(statement, values).lastrowid or 0

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one change for each row."""
        with self._lock:
            self._db.executemany(statement, rows)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self.changes():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"it is of version {version}, which is not read here")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
