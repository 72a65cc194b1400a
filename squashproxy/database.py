"""A file of SQLite, for what must not be left half-written by a process that is killed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self


class Database:
    """Usable from several threads, and by several processes at once.

    `place` None is in memory, and forgotten at the end; `patience` in seconds is how long another
    process is waited for. `schemas` make the tables, each from what those before it made: a file of
    an earlier version gets the rest. Raises sqlite3.DatabaseError for a file of a later one.
    """

    def __init__(
        self, place: Path | None, schemas: Sequence[str], *, patience: float = 5.0
    ) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            ":memory:" if place is None else place,
            check_same_thread=False,
            isolation_level=None,
            timeout=patience,
        )
        try:
            self._prepare(schemas)
        except BaseException:
            self._db.close()
            raise

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

    def _prepare(self, schemas: Sequence[str]) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self.changes():
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found > len(schemas):
                raise sqlite3.DatabaseError(f"it was written by a later version ({found})")
            for schema in schemas[found:]:
                for statement in schema.split(";"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(schemas)}")
