"""`squashproxy run` as a process: it promotes on its schedule, reloads and ends when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from squashproxy.state.database import open_state
from squashproxy.state.runs import Outcome, RunHistory
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.cleanup.room import image

RULE = """state: state
promote:
  - name: {name}
    from: {host}/apps/*
    to: {host}/{name}/{{repo}}
    every: 1s
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A process, its configuration, and what it said so far."""

    process: subprocess.Popen[bytes]
    config: Path
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        self.tell(signal.SIGTERM)
        return self.process.wait(30)


def wait_for(condition: Callable[[], object], running: Running) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, running.said
        assert running.process.poll() is None, running.said
        time.sleep(0.05)


@contextmanager
def started(folder: Path, text: str, *options: str) -> Iterator[Running]:
    config, log = folder / "sp.yml", folder / "log"
    config.write_text(text)
    command = [sys.executable, "-m", "squashproxy", "run", *options, str(config)]
    environ = {**os.environ, "HOME": str(folder)}
    with (
        log.open("wb") as said,
        subprocess.Popen(command, stdout=said, stderr=said, env=environ) as process,
    ):
        try:
            yield Running(process, config, log)
        finally:
            process.kill()


def test_it_promotes_reloads_and_ends(tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        image("one").push(registry, "apps/web", "1")
        with started(tmp_path, RULE.format(host=registry.host, name="prod")) as running:
            wait_for(lambda: registry.tags("prod/web"), running)
            running.config.write_text("promote: [")
            running.tell(signal.SIGHUP)
            wait_for(lambda: "so the rules stay as they were" in running.said, running)
            image("two").push(registry, "apps/web", "2")
            wait_for(lambda: len(registry.tags("prod/web")) == 2, running)
            running.config.write_text(RULE.format(host=registry.host, name="other"))
            running.tell(signal.SIGHUP)
            wait_for(lambda: len(registry.tags("other/web")) == 2, running)
            assert running.end() == 0
            assert "Traceback" not in running.said
        assert registry.open_uploads == 0
    with open_state(tmp_path / "state") as database:
        runs = RunHistory(database).newest(100)
    assert {run.rule for run in runs} == {"prod", "other"}
    assert {run.outcome for run in runs} == {Outcome.DONE}
    assert any("copied" in run.summary for run in runs)


@pytest.mark.parametrize(
    ("options", "told", "untold"),
    [
        ((), ("promote prod begins", "promote prod done: 1 copied"), "apps/web:1"),
        (("-v",), ("promote prod done: 1 copied", "apps/web:1"), "Traceback"),
        (("-q",), (), "promote prod"),
    ],
    ids=["by default", "verbose", "quiet"],
)
def test_what_it_says(
    options: tuple[str, ...], told: tuple[str, ...], untold: str, tmp_path: Path
) -> None:
    with FakeRegistry() as registry:
        image("one").push(registry, "apps/web", "1")
        text = RULE.format(host=registry.host, name="prod")
        with started(tmp_path, text, *options) as running:
            wait_for(lambda: registry.tags("prod/web"), running)
            wait_for(lambda: all(words in running.said for words in told), running)
            assert running.end() == 0
        assert untold not in running.said


def test_a_run_that_fails_is_told_also_by_default(tmp_path: Path) -> None:
    with started(tmp_path, RULE.format(host="127.0.0.1:1", name="prod")) as running:
        wait_for(lambda: "warning: promote prod failed: " in running.said, running)
        assert running.end() == 0


def test_an_image_under_way_ends_before_the_process_does(tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        image("one").push(registry, "apps/web", "1")
        armed = registry.arm(Fault("PUT", "/blobs/uploads/", FaultKind.HANG))
        with started(tmp_path, RULE.format(host=registry.host, name="prod")) as running:
            assert armed.reached.wait(30), running.said
            running.tell(signal.SIGTERM)
            time.sleep(0.5)
            assert running.process.poll() is None
            armed.release()
            assert running.process.wait(30) == 0
            assert registry.tags("prod/web")


def test_serve_and_rules_in_one_process(tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        image("one").push(registry, "apps/web", "1")
        text = RULE.format(host=registry.host, name="prod") + (
            f"serve:\n  listen: 127.0.0.1:0\n  upstreams: {{'{registry.host}': {{}}}}\n"
            "  store: {directory: cache}\n"
        )
        with started(tmp_path, text) as running:
            wait_for(lambda: registry.tags("prod/web"), running)
            wait_for(lambda: "listening on" in running.said, running)
            address = running.said.partition("listening on ")[2].split()[0]
            status = requests.get(f"http://{address}/api/v1/status", timeout=10).json()
            wait_for(
                lambda: requests.get(f"http://{address}/api/v1/status", timeout=10).json()["runs"],
                running,
            )
            status = requests.get(f"http://{address}/api/v1/status", timeout=10).json()
            assert status["runs"][0]["rule"] == "prod"
            metrics = requests.get(f"http://{address}/metrics", timeout=10).text
            assert 'squashproxy_rule_runs{outcome="done",rule="prod",section="promote"}' in metrics
            assert running.end() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "nothing to run": ("engine: {jobs: 1}", "neither a rule with a schedule nor"),
        "no YAML": ("promote: [", "this is no YAML"),
    }.values(),
)
def test_what_cannot_run_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with started(tmp_path, text) as running:
        assert running.process.wait(30) == 2
    assert words in running.said
    assert "Traceback" not in running.said
