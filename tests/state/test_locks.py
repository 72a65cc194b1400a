"""A rule runs in one process at a time, and a process that dies lets it go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from squashproxy.errors import UsageError
from squashproxy.state.locks import RuleBusy, held

HOLD = """
import sys, time
from pathlib import Path
from squashproxy.state.locks import held
with held(Path(sys.argv[1]), "promote", ["apps"]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_told_who_runs_it_until_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(
                RuleBusy, match=f"promote rule apps runs already in process {holder.pid}"
            ),
            held(tmp_path, "promote", ["apps"]),
        ):
            pass
        holder.kill()
    with held(tmp_path, "promote", ["apps"]):
        pass


@pytest.mark.parametrize(
    ("section", "rules"),
    [("promote", ["other"]), ("cleanup", ["apps"]), ("promote", [])],
    ids=["another rule", "another section", "none"],
)
def test_others_are_free(section: str, rules: list[str], tmp_path: Path) -> None:
    with held(tmp_path, "promote", ["apps"]), held(tmp_path, section, rules):
        pass


def test_of_several_none_is_kept_where_one_is_busy(tmp_path: Path) -> None:
    with (
        held(tmp_path, "cleanup", ["b"]),
        pytest.raises(RuleBusy),
        held(tmp_path, "cleanup", ["a", "b"]),
    ):
        pass
    with held(tmp_path, "cleanup", ["a"]):
        pass


@pytest.mark.parametrize("name", ["../out", "a/b", "ümlaut", "a b"])
def test_any_name_is_a_file_in_the_folder(name: str, tmp_path: Path) -> None:
    with held(tmp_path, "promote", [name, name]):
        assert len(list((tmp_path / "running").iterdir())) == 1


def test_a_state_that_cannot_hold_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "running").write_text("a file")
    with (
        pytest.raises(UsageError, match="name another folder as `state`"),
        held(tmp_path, "p", ["a"]),
    ):
        pass
