"""Every failure is one sentence on standard error, an exit code, and an empty standard output."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

import squashproxy.cli.commands.copy as copy_module
from squashproxy import errors
from tests.cli.command_line import InProcess, run_process

SOURCE = "registry.dev.example.com/app:1"
TARGET = "registry.example.com/app:1"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["copy"], "missing argument 'SOURCE'", id="no-source"),
        pytest.param(["copy", SOURCE], "missing argument 'TARGET'", id="no-target"),
        pytest.param(["cpy"], "no such command 'cpy'", id="unknown-verb"),
        pytest.param(["copy", "--forse"], "no such option", id="unknown-option"),
        pytest.param(["copy", "example.com/UPPER:1", "b"], "is not a reference", id="bad-source"),
        pytest.param(["copy", SOURCE, "b:-"], "is not a tag", id="bad-target"),
        pytest.param(["tags", "oci:folder"], "what is in a registry", id="tags-of-a-layout"),
        pytest.param(
            ["copy", SOURCE, f"{TARGET}@{DIGEST}"], "cannot be a target", id="digest-as-target"
        ),
        pytest.param(
            ["plan", SOURCE, f"{TARGET}@{DIGEST}"], "cannot be a target", id="plan-digest-as-target"
        ),
        pytest.param(["copy", "--base", "-1", SOURCE, TARGET], "--base -1", id="negative-base"),
        pytest.param(
            ["copy", "--base", "A B", SOURCE, TARGET], "--base 'A B' is not a", id="bad-base"
        ),
        pytest.param(
            ["copy", "--base-repo", TARGET, SOURCE, TARGET],
            f"--base-repo: '{TARGET}' names an image; give the repository alone",
            id="base-repo-tag",
        ),
        pytest.param(["copy", "--platform", "linux", SOURCE, TARGET], "OS/ARCH", id="platform"),
        pytest.param(["copy", "--memory", "lots", SOURCE, TARGET], "'lots' is not a", id="size"),
        pytest.param(["copy", "--max-unpacked", "0", SOURCE, TARGET], "one byte", id="no-size"),
        pytest.param(["copy", "--max-entries", "x", SOURCE, TARGET], "'x' is not", id="entries"),
        pytest.param(["copy", "--max-ratio", "0", SOURCE, TARGET], "range", id="ratio"),
        pytest.param(["copy", "--jobs", "0", SOURCE, TARGET], "range", id="jobs"),
        pytest.param(["copy", "--compression", "xz", SOURCE, TARGET], "choose", id="compression"),
        pytest.param(
            ["copy", "--no-clobber", "--backup", "b", SOURCE, TARGET], "contradict", id="backup"
        ),
        pytest.param(
            ["copy", "--plain-http", "http://h", SOURCE, TARGET],
            "--plain-http: 'http://h' is no host; write HOST or HOST:PORT",
            id="host",
        ),
        pytest.param(["verify", "a", "b@c"], "'b@c' is not a reference", id="verify-reference"),
        pytest.param(["copy", "--ca", "absent.pem", SOURCE, TARGET], "does not exist", id="ca"),
        pytest.param(["tags", "--authfile", "absent", "h/r"], "does not exist", id="authfile"),
        pytest.param(["tags", TARGET], "repository alone", id="tags-of-an-image"),
        pytest.param(["inspect", ""], "is not a", id="empty-reference"),
        pytest.param(["completion", "tcsh"], "'tcsh'", id="unknown-shell"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_sentence(
    squashproxy: InProcess, arguments: list[str], part: str
) -> None:
    outcome = squashproxy(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("squashproxy: ")
    assert outcome.err.count("\n") == 1
    assert part in outcome.err


ERRORS = [
    pytest.param(errors.NotFound("no such tag; look with tags"), 1, id="registry"),
    pytest.param(errors.IntegrityError("the blob ended early"), 1, id="integrity"),
    pytest.param(errors.UsageError("the file is broken"), 2, id="configuration"),
    pytest.param(KeyboardInterrupt(), 130, id="interrupted"),
    pytest.param(PermissionError(13, "Permission denied", "auth.json"), 1, id="system"),
]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def copy_image(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(copy_module, "copy_image", copy_image)


@pytest.mark.parametrize("more", [[], ["--json"], ["-q"]], ids=["plain", "json", "quiet"])
@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_a_failed_copy(
    squashproxy: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    more: list[str],
) -> None:
    fail_with(monkeypatch, error)
    outcome = squashproxy("copy", *more, SOURCE, TARGET)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("squashproxy: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err


def test_very_verbose_shows_the_traceback_before_the_sentence(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, errors.NotFound("no such tag"))
    outcome = squashproxy("copy", "-vv", SOURCE, TARGET)
    assert outcome.err.startswith("Traceback")
    assert outcome.err.endswith("squashproxy: no such tag\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["copy", "--log-format", "json", SOURCE, TARGET], "no such tag", id="run"),
        pytest.param(["copy", "--log-format=json", "--forse"], "no such option", id="parsing"),
    ],
)
def test_errors_as_json_lines(
    squashproxy: InProcess, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    fail_with(monkeypatch, errors.NotFound("no such tag"))
    outcome = squashproxy(*arguments)
    line = json.loads(outcome.err)
    assert line["level"] == "error"
    assert line["message"].startswith(message)
    assert line["time"].endswith("+00:00")


_BUG = """
import sys, squashproxy.cli.main as main, squashproxy.cli.commands.tags as tags
def open_session(common):
    raise ZeroDivisionError("a\\nbug")
tags.open_session = open_session
main.main()
"""


def test_a_bug_is_one_sentence_that_says_how_to_report_it() -> None:
    outcome = run_process(["tags", "example.com/app"], code=_BUG)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "squashproxy: this is a bug (ZeroDivisionError: a bug); "
        "run it again with -vv and report the traceback\n"
    )


def test_a_bug_shows_its_traceback_with_vv() -> None:
    outcome = run_process(["tags", "-vv", "example.com/app"], code=_BUG)
    assert outcome.code == 1
    assert "Traceback (most recent call last)" in outcome.err
    assert "in open_session" in outcome.err


_WAITING = """
import sys, time, squashproxy.cli.main as main, squashproxy.cli.commands.tags as tags
def open_session(common):
    print("waiting", flush=True)
    time.sleep(60)
tags.open_session = open_session
main.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_interrupts_with_130_and_a_sentence(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WAITING, "tags", "example.com/app"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.startswith("squashproxy: interrupted")
    assert err.count("\n") == 1


_ENDLESS = """
import contextlib, itertools, squashproxy.cli.main as main, squashproxy.cli.commands.tags as tags
class Session:
    def iter_tags(self, repository):
        return map(str, itertools.count())
tags.open_session = lambda common: contextlib.nullcontext(Session())
main.main()
"""


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, "tags", "example.com/app"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 1
