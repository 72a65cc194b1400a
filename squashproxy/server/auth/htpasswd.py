"""Users and passwords as `htpasswd -B` writes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import bcrypt

from squashproxy.errors import UsageError, reason_of

_BCRYPT = ("$2y$", "$2a$", "$2b$")
_NOBODY = b"$2b$10$" + b"." * 53
"""Checked for unknown users, so that the time it takes does not tell which users exist."""
_LONGEST = 72
"""Bytes of a password that bcrypt looks at; more than that is refused by its library."""


class UserFile:
    """A file of users, read again when it changes. Raises UsageError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._users: Mapping[str, bytes] = {}
        self.version = 0
        """Goes up whenever the file was read anew."""
        self._refresh()

    def verify(self, user: str, password: str) -> bool:
        """Whether that is the user's password; takes as long as bcrypt does."""
        self.refresh()
        hashed = self._users.get(user)
        try:
            matches = bcrypt.checkpw(password.encode()[:_LONGEST], hashed or _NOBODY)
        except ValueError:  # a hash, or a NUL in the password, that bcrypt does not take
            return False
        return matches and hashed is not None

    def refresh(self) -> None:
        """Read the file if it has changed; while it is wrong, the last users stay."""
        with suppress(UsageError):
            self._refresh()

    def _refresh(self) -> None:
        with self._lock:
            try:
                status = self._path.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                if stamp == self._stamp:
                    return
                text = self._path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = reason_of(error) if isinstance(error, OSError) else "it is no text"
                raise UsageError(f"the file of users {self._path} cannot be read: {why}") from error
            self._users = parse_users(text, str(self._path))
            self._stamp = stamp
            self.version += 1


def parse_users(text: str, name: str) -> dict[str, bytes]:
    """Users with their bcrypt hashes. Raises UsageError, with file and line, for other lines."""
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, hashed = line.strip().partition(":")
        if not colon or not user or not hashed.startswith(_BCRYPT):
            raise UsageError(
                f"{name}:{number}: no user with a bcrypt password",
                advice="write it with htpasswd -B",
            )
        users[user] = hashed.encode()
    return users
