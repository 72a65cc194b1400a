"""`squashproxy run` on a fleet: one process leads, another takes over, the broker may go away."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.automation.workers.twin import ROOT, Registries, Twin, program
from tests.cleanup.room import image

pytestmark = pytest.mark.long
_RULES = "promote:\n  - name: apps\n    from: OLD/apps/*\n    to: NEW/prod/{repo}\n    every: 2s\n"


class Running:
    """`squashproxy run` as a process, with a folder of its own."""

    def __init__(self, twin: Twin, name: str) -> None:
        folder = twin.fleet.folder / name
        config = twin.fleet.write(_RULES, folder)
        self.log = folder / "run.log"
        with self.log.open("wb") as written:
            self.process = subprocess.Popen(
                program("run", str(config)),
                cwd=ROOT,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def _running(twin: Twin, name: str) -> Iterator[Running]:
    started = Running(twin, name)
    try:
        yield started
    finally:
        started.kill()


def _until(holds: Callable[[], bool], *logs: Path) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("\n".join(log.read_text() for log in logs))


def _push(tag: str) -> Callable[[Registries], object]:
    return lambda registries: image(tag).push(registries.old, "apps/web", tag)


def _arrived(twin: Twin, tag: str) -> bool:
    return f"new prod/web:{tag}" in twin.fleet.registries.tags


def test_another_process_takes_over(twin: Twin) -> None:
    twin.fill(_push("v1"))
    twin.write(_RULES)
    with twin.working(), _running(twin, "one") as one:
        _until(lambda: _arrived(twin, "v1"), one.log)
        with _running(twin, "two") as two:
            _until(lambda: "another process leads" in two.text, two.log)
            before = two.text
            one.kill()
            twin.fill(_push("v2"))
            _until(lambda: _arrived(twin, "v2"), two.log)
            assert "begins" not in before
            assert "this process leads" in two.text


def test_a_broker_that_goes_away_is_waited_for(twin: Twin) -> None:
    twin.fill(_push("v1"))
    twin.write(_RULES)
    with twin.working(), _running(twin, "one") as one:
        _until(lambda: _arrived(twin, "v1"), one.log)
        twin.broker.stop()
        _until(lambda: "cannot be reached" in one.text, one.log)
        twin.fill(_push("v2"))
        twin.broker.start()
        _until(lambda: _arrived(twin, "v2"), one.log)
        assert one.process.poll() is None


def test_it_begins_while_the_broker_is_away(twin: Twin) -> None:
    twin.fill(_push("v1"))
    twin.write(_RULES)
    twin.broker.stop()
    with _running(twin, "one") as one:
        _until(lambda: "it is waited for" in one.text, one.log)
        twin.broker.start()
        with twin.working():
            _until(lambda: _arrived(twin, "v1"), one.log)
        _until(lambda: "is back" in one.text, one.log)
