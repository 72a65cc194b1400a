"""Standard streams that a caller closed, filled up, or left: `<&-`, `>/dev/full`, `| head -1`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from squashproxy.testing import Packing
from tests.cli.command_line import Outcome
from tests.pipeline.images import OS, app, image_of
from tests.transports.tars import docker_20, tar_of

COPY = ["copy", "docker-archive:app.tar"]
UNWRITTEN = (
    "squashproxy: the report could not be written to standard output: no space left on device; "
    "only the report is missing, make room for it and run the same command again\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `app.tar` is."""
    (tmp_path / "app.tar").write_bytes(tar_of(docker_20(app(packing=Packing.NONE), "app:1")))
    return tmp_path


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest) -> str:
    """PYTHONUNBUFFERED: containers often set it, and text is then written at another moment."""
    return str(request.param)


def run_in_shell(
    folder: Path, words: list[str], redirections: str, buffering: str = "", before: str = ""
) -> Outcome:
    """Run it as a shell does, `before` first; what the redirections leave is captured."""
    done = subprocess.run(
        [
            "sh",
            "-c",
            f'{before} "$@" {redirections}',
            "sh",
            sys.executable,
            "-m",
            "squashproxy",
            *words,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": buffering},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_keep_a_copy_from_its_work(
    closed: str, folder: Path, buffering: str
) -> None:
    outcome = run_in_shell(folder, [*COPY, "oci:layout:1"], closed, buffering)
    assert (outcome.code, outcome.err) == (0, "")
    compared = run_in_shell(folder, ["verify", "docker-archive:app.tar", "oci:layout:1"], closed)
    assert compared.code == 0


@pytest.mark.parametrize(
    ("words", "closed", "told"),
    [
        pytest.param(
            ["verify", "docker-archive:app.tar", "docker-archive:-"],
            "<&-",
            "standard input is closed",
            id="input",
        ),
        pytest.param([*COPY, "docker-archive:-"], ">&-", "standard output is closed", id="output"),
    ],
)
def test_no_file_or_socket_is_taken_for_a_closed_stream(
    words: list[str], closed: str, told: str, folder: Path
) -> None:
    """The next file opened would get the descriptor number of the closed stream."""
    outcome = run_in_shell(folder, words, closed)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["copy", "--help"],
        [*COPY, "oci:layout:1"],
        ["inspect", "docker-archive:app.tar"],
        ["inspect", "--json", "docker-archive:app.tar"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_a_full_standard_output_is_a_sentence(
    words: list[str], folder: Path, buffering: str
) -> None:
    assert run_in_shell(folder, words, ">/dev/full", buffering) == Outcome(1, "", UNWRITTEN)


def test_a_report_that_fits_in_part_is_lost_as_a_whole(folder: Path, buffering: str) -> None:
    words = ["plan", "--json", "docker-archive:app.tar"]
    outcome = run_in_shell(folder, words, ">report", buffering, before="ulimit -f 1;")
    assert (outcome.code, outcome.out) == (1, "")
    assert "could not be written to standard output: file too large" in outcome.err


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        pytest.param(">/dev/full", UNWRITTEN, id="full"),
        pytest.param(">&-", "", id="closed"),
    ],
)
def test_trees_that_differ_are_told_by_the_exit_code_whatever_becomes_of_the_report(
    lost: str, told: str, folder: Path, buffering: str
) -> None:
    (folder / "b.tar").write_bytes(tar_of(docker_20(image_of(OS), "b:1")))
    words = ["verify", "docker-archive:app.tar", "docker-archive:b.tar"]
    outcome = run_in_shell(folder, words, lost, buffering)
    assert (outcome.code, outcome.out, outcome.err) == (4, "", told)


def test_a_full_standard_error_changes_nothing(folder: Path, buffering: str) -> None:
    for target, full in (("oci:layout:1", "2>/dev/full"), ("docker-archive:-", ">b 2>/dev/full")):
        assert run_in_shell(folder, [*COPY, target], full, buffering).code == 0
    assert run_in_shell(folder, ["inspect", "oci:absent"], "2>/dev/full", buffering).code == 1


@pytest.mark.parametrize("lost", [">/dev/full", "| true", ">&-"])
def test_page_and_gate_do_not_depend_on_the_report(lost: str, folder: Path, buffering: str) -> None:
    gate = ["--fail-over", "hidden>1", "--html", "plan.html"]
    outcome = run_in_shell(folder, ["plan", *gate, "docker-archive:app.tar"], lost, buffering)
    assert "the threshold 'hidden>1' forbids that" in outcome.err
    assert (folder / "plan.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_names_do_not_reach_the_terminal_as_commands_to_it(folder: Path) -> None:
    """A reference, as anything that a stranger can choose, may hold escape sequences."""
    (folder / "app.tar").rename(folder / "\x1b[31mapp.tar")
    name = "docker-archive:\x1b[31mapp.tar"
    for words in (["inspect", name], ["plan", name], ["inspect", "docker-archive:\x1b[2J"]):
        outcome = run_in_shell(folder, words, "")
        assert "\x1b" not in outcome.out + outcome.err
        assert "\\x1b" in outcome.out + outcome.err
    assert "\x1b" not in run_in_shell(folder, ["inspect", "--json", name], "").out


def test_json_of_a_copy_stays_whole_beside_a_closed_standard_error(folder: Path) -> None:
    outcome = run_in_shell(folder, [*COPY, "--json", "oci:layout:1"], "2>&-")
    assert json.loads(outcome.out)["target"] == "oci:layout:1"
