"""AtomicFile: a whole file or none, with and without files that have no name (O_TMPFILE)."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from squashproxy.atomic_file import AtomicFile, clear_abandoned, resolved, write_all
from tests.disk import files_of_at_most

UMASK = 0o027


@pytest.fixture(params=[True, False], ids=["unnamed", "named"], autouse=True)
def can_be_unnamed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system makes files without a name; NFS, for one, does not."""
    if not request.param:
        monkeypatch.delattr(os, "O_TMPFILE")
    return bool(request.param)


@pytest.fixture(autouse=True)
def _umask() -> object:
    before = os.umask(UMASK)
    yield
    os.umask(before)


def write(path: Path, data: bytes) -> None:
    with AtomicFile(path.parent) as file:
        write_all(file.stream, data)
        file.publish(path)


def test_nothing_is_to_be_seen_until_it_is_published(tmp_path: Path, can_be_unnamed: bool) -> None:
    with AtomicFile(tmp_path) as file:
        write_all(file.stream, b"half")
        names = [path.name for path in tmp_path.iterdir()]
        assert len(names) == (0 if can_be_unnamed else 1)
        assert all(name.startswith(".squashproxy-") for name in names)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_has_the_permissions_of_new_files(tmp_path: Path) -> None:
    write(tmp_path / "new", b"data")
    assert (tmp_path / "new").read_bytes() == b"data"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~UMASK
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_one_that_is_replaced_keeps_its_own(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)


def test_it_can_be_read_back_before_it_is_published(tmp_path: Path) -> None:
    with AtomicFile(tmp_path) as file:
        write_all(file.stream, b"data")
        assert os.pread(file.stream.fileno(), 2, 1) == b"at"


def test_an_interruption_while_it_replaces_another_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def interrupted(*arguments: Any, **options: Any) -> None:
        link(*arguments, **options)
        raise KeyboardInterrupt

    (tmp_path / "old").write_bytes(b"old")
    monkeypatch.setattr(os, "link", interrupted)
    with suppress(KeyboardInterrupt):
        write(tmp_path / "old", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_what_is_there_may_stay(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    with AtomicFile(tmp_path) as file, pytest.raises(FileExistsError):
        file.publish_new(tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"


def test_systems_that_link_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have no links; some sandboxes keep a process from its own files."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for data in (b"new", b"newer"):
        write(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~UMASK
    with AtomicFile(tmp_path) as file, pytest.raises(FileExistsError):
        file.publish_new(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    with files_of_at_most(3), pytest.raises(OSError, match="too large"):
        write(tmp_path / "old", b"newer")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AtomicFile(tmp_path / "absent")


class TestResolved:
    def test_links_are_followed_to_what_is_there_or_would_be(self, tmp_path: Path) -> None:
        (tmp_path / "there").write_bytes(b"")
        for name in ("there", "absent"):
            (tmp_path / f"to-{name}").symlink_to(name)
            assert resolved(tmp_path / f"to-{name}") == tmp_path.resolve() / name
            assert resolved(tmp_path / name) == tmp_path.resolve() / name

    def test_a_circle_is_an_error_of_the_system(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match="symbolic links") as caught:
            resolved(tmp_path / "a")
        assert caught.value.errno == errno.ELOOP


class Disk:
    """What the system was told to do, in its order: flush a file or a folder, give a name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        fsync, link, replace = os.fsync, os.link, Path.replace

        def flush(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            self.done.append("flush the folder" if is_folder else "flush the file")
            fsync(descriptor)

        def name(*args: Any, **choices: Any) -> None:
            link(*args, **choices)
            self.done.append("name")

        def rename(path: Path, target: Path) -> Path:
            self.done.append("replace")
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(os, "link", name)
        monkeypatch.setattr(Path, "replace", rename)


def test_a_power_cut_finds_a_whole_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content is on the disk before it has a name, and the name when it is published."""
    disk = Disk(monkeypatch)
    write(tmp_path / "new", b"data")
    assert disk.done == ["flush the file", "name", "flush the folder"]


def test_a_power_cut_finds_the_old_file_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").write_bytes(b"old")
    disk = Disk(monkeypatch)
    write(tmp_path / "old", b"new")
    assert disk.done[0] == "flush the file"
    assert disk.done[-2:] == ["replace", "flush the folder"]


def test_a_file_that_need_not_last_costs_no_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with AtomicFile(tmp_path, lasts=False) as file:
        file.publish(tmp_path / "new")
    assert disk.done == ["name"]


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    write(tmp_path / "new", b"data")
    assert (tmp_path / "new").read_bytes() == b"data"


def test_a_disk_that_turns_out_to_be_full_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems find room only when they flush."""

    def flush(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", flush)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "new", b"data")
    assert list(tmp_path.iterdir()) == []


_KILLED = """
import os, signal, sys
from pathlib import Path
from squashproxy.atomic_file import AtomicFile, write_all
if sys.argv[2] == "named":
    del os.O_TMPFILE
path = Path(sys.argv[1], "old")
file = AtomicFile(path.parent)
write_all(file.stream, b"new")
def kill(event, _):
    if event == "os.rename":
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
file.publish(path)
"""


def test_what_a_killed_process_left_is_cleared_and_nothing_else(
    tmp_path: Path, can_be_unnamed: bool
) -> None:
    """One that replaces a file has a name for a moment, in which it may be killed."""
    (tmp_path / "old").write_bytes(b"old")
    kind = "unnamed" if can_be_unnamed else "named"
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), kind], check=False)
    [left] = tmp_path.glob(".squashproxy-*.partial")
    with AtomicFile(tmp_path) as file:
        write_all(file.stream, b"data")
        clear_abandoned(tmp_path)
        assert not left.exists()
        file.publish(tmp_path / "new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "old": b"old",
        "new": b"data",
    }
