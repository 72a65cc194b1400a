"""Files as `htpasswd -B` writes them."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest

from squashproxy.errors import UsageError
from squashproxy.server.auth.htpasswd import UserFile, parse_users

HASHED = bcrypt.hashpw(b"word", bcrypt.gensalt(4)).decode()


@pytest.mark.parametrize("prefix", ["$2b$", "$2y$", "$2a$"])
def test_every_mark_of_bcrypt(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"# users\n\nalice:{HASHED.replace('$2b$', prefix)}\n")
    users = UserFile(path)
    assert users.verify("alice", "word")
    assert not users.verify("alice", "other")
    assert not users.verify("bob", "word")


def test_a_password_longer_than_bcrypt_looks_at(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"alice:{HASHED}")
    assert not UserFile(path).verify("alice", "w" * 200)


@pytest.mark.parametrize("line", ["alice", ":x", "alice:plain", "alice:{SHA}x", "$2b$04$x"])
def test_lines_that_are_none(line: str) -> None:
    with pytest.raises(UsageError, match="users:2: no user with a bcrypt password"):
        parse_users(f"bob:{HASHED}\n{line}", "users")


def test_a_file_that_breaks_later_keeps_its_users(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"alice:{HASHED}")
    users = UserFile(path)
    path.write_text("alice:broken")
    assert users.verify("alice", "word")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        UserFile(tmp_path / "none")
