"""An SQLite file, for data that must survive a process that is killed while writing."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from squashproxy.errors import lacks_descriptors

_FILES = 4
"""The database, its log, the log's index and the folder, which SQLite may open at once."""
_PRIMARY = 0xFF
"""The bits of an SQLite result code that say the kind of error (sqlite.org/rescode.html)."""
_UNOPENED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


class Database:
    """A database for several threads, and for several processes at once.

    `place` is its file; None keeps it in memory until it is closed, begun as a copy of the file
    `copied` if that is given, which is only read. `patience` is how long to wait
    for another process, in seconds. `schemas` are the versions of the tables, each as statements
    that change the one before: a file of an earlier version gets those it lacks. Raises
    sqlite3.DatabaseError for a file that is no database, or of a later version, and OSError where
    no file descriptor is left for it.
    """

    def __init__(
        self,
        place: Path | None,
        schemas: Sequence[str],
        *,
        patience: float = 5.0,
        copied: Path | None = None,
    ) -> None:
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                ":memory:" if place is None else place,
                check_same_thread=False,
                isolation_level=None,
                timeout=patience,
            )
            self._fill(schemas, copied)
        except sqlite3.DatabaseError as error:
            shortage = shortage_behind(error)
            if shortage is not None:
                raise shortage from error
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
        """A block whose changes are all made, or none of them."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                    self._db.execute("ROLLBACK")
                raise

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that changes something; return the ID of the row that it inserted."""
        with self._lock:
            return self._db.execute(statement, values).lastrowid or 0

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        with self._lock:
            self._db.executemany(statement, rows)

    def copy_to(self, place: Path) -> None:
        """Write everything into another file."""
        with self._lock, closing(sqlite3.connect(place)) as copy:
            self._db.backup(copy)

    def _fill(self, schemas: Sequence[str], copied: Path | None) -> None:
        try:
            if copied is not None:
                address = f"{copied.resolve().as_uri()}?mode=ro&immutable=1"
                with closing(sqlite3.connect(address, uri=True)) as file:
                    file.backup(self._db)
            self._prepare(schemas)
        except BaseException:
            self._db.close()
            raise

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


def shortage_behind(error: sqlite3.DatabaseError) -> OSError | None:
    """The lack of file descriptors behind an error, which SQLite does not tell; None for others.

    SQLite has closed by now what it opened before it was refused a file. So as many are opened here
    as it may have needed.
    """
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY not in _UNOPENED:
        return None
    with ExitStack() as stack:
        try:
            for _ in range(_FILES):
                stack.enter_context(Path(os.devnull).open("rb"))
        except OSError as refused:
            return refused if lacks_descriptors(refused) else None
    return None
