"""Hooks that are commands: none can hold an image up, fill the memory or leave anything behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from squashproxy.config.hooks import CommandHook
from squashproxy.promotion.hooks.hooks import HookFailed, run_hook
from tests.promotion.pair import Pair

EVENT: dict[str, Any] = {"event": "before", "target": "registry.example.com/app:1"}
SOON = 1.5
LATE = 60.0


def python(script: str, *arguments: str, timeout: float = LATE) -> CommandHook:
    return CommandHook((sys.executable, "-c", script, *arguments), timeout)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A file that programs write to."""
    return tmp_path / "note"


FAILURES = {
    "an exit code": ("sys.exit(3)", "ended with 3"),
    "a word on standard error": ("sys.exit('no such day')", "ended with 1: no such day"),
    "a word on standard output": ("print('no'); sys.exit(2)", "ended with 2: no"),
    "several lines": (r"sys.exit('a\n  b\n')", "ended with 1: a b"),
    "the end of many words": ("sys.exit('x' * 9000 + ' the end')", "x the end"),
    "what moves a cursor": (r"sys.exit('a\x1b[2Jb')", "ended with 1: a [2Jb"),
    "no UTF-8": (r"sys.stderr.buffer.write(b'\xffx'); sys.exit(1)", "ended with 1: \ufffdx"),
    "a signal": ("os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
}


@pytest.mark.parametrize(("script", "words"), FAILURES.values(), ids=FAILURES)
def test_a_program_that_does_not_end_with_nothing_says_why(script: str, words: str) -> None:
    with pytest.raises(HookFailed) as caught:
        run_hook(python(f"import os, sys; {script}"), EVENT)
    sentence = str(caught.value)
    assert words in sentence
    assert sentence.isprintable()
    assert len(sentence) < 400


def test_a_program_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(HookFailed, match=r"the hook \./nowhere cannot be run: no such file"):
        run_hook(CommandHook(("./nowhere",)), EVENT)


def test_a_program_gets_the_event_and_the_environment_as_they_are(
    note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_OPERATOR", "a word")
    script = (
        "import json, os, sys\n"
        "heard = {'event': json.load(sys.stdin), 'folder': os.getcwd(), 'env': dict(os.environ)}\n"
        "open(sys.argv[1], 'w').write(json.dumps(heard))"
    )
    run_hook(python(script, str(note)), EVENT)
    heard = json.loads(note.read_text())
    added = {"LC_CTYPE", "COLUMNS", "LINES"}  # by Python, and by the readline of pytest
    env = {name: value for name, value in heard["env"].items() if name not in added}
    assert heard["event"] == EVENT
    assert heard["folder"] == str(Path.cwd())
    assert env == {name: value for name, value in os.environ.items() if name not in added}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_program_writes_does_not_fill_the_memory(stream: str) -> None:
    script = f"import sys\nfor _ in range(512): sys.{stream}.write('y' * (128 << 10))\nsys.exit(1)"
    tracemalloc.start()
    try:
        with pytest.raises(HookFailed, match=r"yyy$"):
            run_hook(python(script), EVENT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20, "of 64 MiB that were written"


def test_a_program_that_reads_nothing_is_no_failure() -> None:
    run_hook(python("import os; os.close(0)"), {"event": "x" * (1 << 20)})


def test_a_large_event_is_read_whole_while_the_program_writes(note: Path) -> None:
    script = (
        "import sys\nsys.stdout.write('y' * (1 << 20)); sys.stdout.flush()\n"
        "open(sys.argv[1], 'w').write(str(len(sys.stdin.read())))"
    )
    event = {"event": "x" * (1 << 20)}
    run_hook(python(script, str(note)), event)
    assert note.read_text() == str(len(json.dumps(event)) + 1)


@contextmanager
def listening(path: Path) -> Iterator[Callable[[], None]]:
    """A FIFO that programs hold open; the call waits until nobody does so any more."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait() -> None:
        os.set_blocking(reader, True)
        assert os.read(reader, 1) == b"", "nobody writes into it"

    yield wait
    os.close(reader)


LEFT = {
    "the program itself": "time.sleep(1000)",
    "with its output closed": "os.close(1); os.close(2); time.sleep(1000)",
    "without an end of its output": "\nwhile True: sys.stdout.write('y' * 9999)",
    "deaf to signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
    "a child, itself waiting": "subprocess.run(['sleep', '1000'], close_fds=False)",
    "a child that it does not wait for": "subprocess.Popen(['sleep', '1000'], close_fds=False)",
}


HOLDING = (
    "import os, signal, subprocess, sys, time\n"
    "os.set_inheritable(os.open(sys.argv[1], os.O_WRONLY), True)\n"
)
"""Opens the FIFO, so that children without close_fds hold it, too."""


@pytest.mark.parametrize("script", LEFT.values(), ids=LEFT)
def test_what_does_not_end_in_time_is_killed_with_its_children(script: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    with listening(fifo) as wait_for_all:
        with pytest.raises(HookFailed, match=f"did not end within {SOON:g} s, or left something"):
            run_hook(python(HOLDING + script, str(fifo), timeout=SOON), EVENT)
        wait_for_all()


def test_a_child_in_a_group_of_its_own_costs_the_time_out_and_no_more() -> None:
    script = "import subprocess\nsubprocess.Popen(['sleep', '20'], start_new_session=True)"
    with pytest.raises(HookFailed, match="left something running that holds its output open"):
        run_hook(python(script, timeout=SOON), EVENT)


def test_a_child_that_lets_go_of_the_output_is_left_alone(tmp_path: Path) -> None:
    script = (
        "quiet = subprocess.DEVNULL\n"
        "subprocess.Popen(['sh', '-c', 'sleep 0.2; echo alive >\"$0\"', sys.argv[1]], stdin=quiet,"
        " stdout=quiet, stderr=quiet)"
    )
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    run_hook(python(f"import subprocess, sys\n{script}", str(fifo)), EVENT)
    assert fifo.read_bytes() == b"alive\n", "read to its end, which waits for the writer"


def test_no_zombie_is_left(note: Path) -> None:
    script = "import os, sys, time\nopen(sys.argv[1], 'a').write(f'{os.getpid()} ')\n"
    run_hook(python(script, str(note)), EVENT)
    with pytest.raises(HookFailed):
        run_hook(python(script + "time.sleep(1000)", str(note), timeout=SOON), EVENT)
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


class GivenUp(Exception):
    """What a tick raises."""


def give_up() -> None:
    raise GivenUp


def test_a_program_is_given_up_when_the_process_ends(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    with listening(fifo) as wait_for_all:
        with pytest.raises(GivenUp):
            run_hook(python(f"{HOLDING}time.sleep(1000)", str(fifo)), EVENT, give_up)
        wait_for_all()


def test_ctrl_c_ends_a_hook_and_the_promotion(pair: Pair, tmp_path: Path) -> None:
    pair.push("apps/web", "1")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    hook = json.dumps([sys.executable, "-c", f"{HOLDING}time.sleep(1000)", str(fifo)])
    path = tmp_path / "sp.yml"
    path.write_text(
        f"state: state\npromote:\n  - name: apps\n    from: {pair.old.host}/apps/web\n"
        f"    to: {pair.new.host}/web\n    hooks: {{before: {{command: {hook}, timeout: 10m}}}}\n"
    )
    command = [sys.executable, "-m", "squashproxy", "promote", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        with fifo.open("rb") as reader:
            process.send_signal(signal.SIGINT)
            assert reader.read() == b"", "the hook is gone"
        _, err = process.communicate()
    assert process.returncode == 130
    assert b"interrupted" in err
    assert b"Traceback" not in err
    assert pair.new.tags("web") == {}
