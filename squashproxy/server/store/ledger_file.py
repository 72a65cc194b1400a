"""The SQLite file of a ledger, which outlives full disks, damage and careless hands.

1. A file that cannot be written, because the disk is full for example, costs that change alone.
2. A damaged file is put aside, and a new one is filled from what lies in the store. Damage is found
   when the file is opened, and by each statement that meets it.
   Anything else at its place, such as a folder or a link that leads nowhere, is damage, too.
3. A file that another program locks is waited for once. Then each change is given up at once until
   one succeeds: a pull makes many, and must not wait for each.
4. A file that is gone or was replaced while it is open is written again, from the open one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from squashproxy.database import Database
from squashproxy.errors import ArchiveError, SquashproxyError, advice_of, reason_of
from squashproxy.server.store.spools import StoreFull

T = TypeVar("T")

_PRIMARY = 0xFF
"""The bits of an SQLite result code that say the kind of error (sqlite.org/rescode.html)."""

_LEAST_FREE = 256 << 10
_PATIENCE = 1.0
"""Seconds to wait for another program, as one that makes a copy. No other server uses the file."""

_HINDERED = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""Errors that say nothing against the file itself."""


class LedgerDamaged(ArchiveError):
    """The file is no ledger any more; a new one was begun, and the call may be repeated."""


class LedgerFile:
    """The file at `path`; usable from several threads.

    `refill` is called when a new file was begun in place of one that was in use. `on_warning` gets
    a sentence for the operator. Raises StoreFull and ArchiveError.
    """

    def __init__(
        self,
        path: Path,
        schemas: Sequence[str],
        refill: Callable[[], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self._path = path
        self._schemas = schemas
        self._refill = refill
        self._on_warning = on_warning
        self._lock = threading.RLock()
        self._is_in_block = False
        self._is_refilling = False
        self._is_closed = False
        self._inode = -1
        self._is_patient = True
        try:
            self._clear_place()
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if _is_full(path.parent):
                self._db = self._open_copy()
                return
            self._fail_unless_damaged(error)
            self._put_aside()
            self._db = self._open_anew()
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._is_closed = True
            self._db.close()

    @contextmanager
    def changes(self) -> Iterator[None]:
        """A block whose changes are all made, or none of them."""
        with self._lock:
            self._check_open()
            self._is_in_block = True
            try:
                with self._waiting_once(), self._db.changes():
                    yield
            except sqlite3.DatabaseError as error:
                self._is_in_block = False
                self._fail_unless_damaged(error)
                self._begin_anew()
                raise self._damage() from error
            except LedgerDamaged:
                self._is_in_block = False
                self._begin_anew()
                raise
            finally:
                self._is_in_block = False

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._call(lambda db: db.read(statement, values))

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that changes something; return the ID of the row that it inserted."""
        with self._waiting_once():
            return self._call(lambda db: db.write(statement, values))

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        every = list(rows)
        with self._waiting_once():
            self._call(lambda db: db.write_many(statement, every))

    def look_after(self) -> None:
        """Write the file again if it is gone or another one took its place."""
        with self._lock:
            self._check_open()
            if self._is_in_place():
                return
            try:
                self._write_again()
            except sqlite3.DatabaseError as error:
                self._fail_unless_damaged(error)
                self._begin_anew()
            except OSError as error:
                raise self._unwritable(error) from error
            else:
                self._on_warning(f"{self._path} was gone, and was written again")

    def _call(self, call: Callable[[Database], T]) -> T:
        with self._lock:
            self._check_open()
            try:
                return call(self._db)
            except sqlite3.DatabaseError as error:
                self._fail_unless_damaged(error)
                if self._is_in_block:
                    raise self._damage() from error
            self._begin_anew()
            try:
                return call(self._db)
            except sqlite3.DatabaseError as error:
                self._fail_unless_damaged(error)
                raise self._damage() from error

    def _check_open(self) -> None:
        if self._is_closed:
            raise ArchiveError(f"{self._path} is closed, since the server stops")

    def _open(self) -> Database:
        """The file, checked. Raises sqlite3.DatabaseError."""
        db = Database(self._path, self._schemas, patience=_PATIENCE)
        self._inode = self._path.stat().st_ino
        self._is_patient = True
        try:
            _check(db)
        except BaseException:
            db.close()
            raise
        return db

    def _open_anew(self) -> Database:
        """A new file; if it cannot be made, a ledger in memory, so that pulls go on."""
        try:
            return self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            self._on_warning(
                f"{self._path} could not be made: {error}; "
                "until a restart, what the store holds is remembered in memory only"
            )
            return Database(None, self._schemas)

    def _open_copy(self) -> Database:
        """A copy in memory, for a disk that has no room even for opening the file.

        `look_after` writes it back when there is room.
        """
        self._on_warning(
            f"{self._path.parent} is full, so its ledger is kept in memory; "
            "make room, or lower its max_size"
        )
        try:
            db = Database(None, self._schemas, copied=self._path)
            _check(db)
        except sqlite3.DatabaseError:
            return Database(None, self._schemas)
        return db

    def _begin_anew(self) -> None:
        """Put the damaged file aside and fill a new one."""
        if self._is_refilling:
            raise self._damage()
        with suppress(sqlite3.Error):
            self._db.close()
        self._put_aside()
        self._db = self._open_anew()
        self._is_refilling = True
        try:
            self._refill()
        finally:
            self._is_refilling = False

    def _put_aside(self) -> None:
        aside = self._path.with_suffix(".broken")
        try:
            self._remove_journals()
            if os.path.lexists(self._path):
                _remove(aside)
                self._path.replace(aside)
        except OSError as error:
            raise self._unwritable(error) from error
        self._on_warning(
            f"{self._path} was damaged; it is {aside.name} now, and a new one was begun from what "
            "lies in the store"
        )

    def _clear_place(self) -> None:
        """Put aside what is no file, and on which SQLite would fail or wait for ever."""
        if _is_no_file(self._path):
            self._put_aside()
        for journal in self._journals:
            if _is_no_file(journal):
                _remove(journal)

    @property
    def _journals(self) -> list[Path]:
        return [Path(f"{self._path}{end}") for end in ("-wal", "-shm")]

    def _remove_journals(self) -> None:
        for journal in self._journals:
            _remove(journal)

    def _is_in_place(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def _write_again(self) -> None:
        if _is_no_file(self._path):
            self._put_aside()
        copy = self._path.with_suffix(".copy")
        _remove(copy)
        try:
            self._db.copy_to(copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        self._db.close()
        self._remove_journals()
        copy.replace(self._path)
        self._db = self._open()

    def _fail_unless_damaged(self, error: sqlite3.DatabaseError) -> None:
        """Raise the error for a file that is sound but could not be used."""
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else code & _PRIMARY
        failure: SquashproxyError
        if kind == sqlite3.SQLITE_FULL:
            failure = StoreFull(
                f"{self._path.parent} is full, so its ledger could not be written",
                advice="make room, or lower its max_size",
            )
        elif kind in _HINDERED:
            failure = ArchiveError(f"{self._path} could not be used: {error}")
        else:
            return
        raise failure from error

    @contextmanager
    def _waiting_once(self) -> Iterator[None]:
        """A block that changes something: after one that another program kept out, none waits."""
        with self._lock:
            try:
                yield
            except (sqlite3.DatabaseError, SquashproxyError) as error:
                if _is_busy(error) or _is_busy(error.__cause__):
                    self._be_patient(False)
                raise
            self._be_patient(True)

    def _be_patient(self, is_patient: bool) -> None:
        if is_patient != self._is_patient:
            self._is_patient = is_patient
            self._db.read(f"PRAGMA busy_timeout = {_PATIENCE * 1000 if is_patient else 0:.0f}")

    def _damage(self) -> LedgerDamaged:
        return LedgerDamaged(f"{self._path} was damaged, so it was begun anew")

    def _unwritable(self, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"{self._path} could not be written: {reason_of(error)}", advice=advice_of(error)
        )


def _is_busy(error: BaseException | None) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY == sqlite3.SQLITE_BUSY


def _is_no_file(path: Path) -> bool:
    """Whether something stands there that is no file, and no link to one."""
    return os.path.lexists(path) and not path.is_file()


def _remove(path: Path) -> None:
    """Remove one of the ledger's own names, whatever stands there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_full(folder: Path) -> bool:
    """Whether a disk has no room for what SQLite needs to open a file."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize < _LEAST_FREE


def _check(db: Database) -> None:
    """Raise sqlite3.DatabaseError for a damaged file."""
    # Not quick_check: SQLite 3.40 reports NULL values in tables without row IDs that have none.
    [[verdict]] = db.read("PRAGMA integrity_check(1)")
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))
