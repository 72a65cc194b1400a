"""The parts of compose without docker: 300 tags through four workers, one of them killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from squashproxy.errors import NotFound
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.testing.images import ImageBuilder
from squashproxy.testing.layers import LayerBuilder
from tests.cli.command_line import run_process
from tests.deploy.monitoring import ALERTS, queries
from tests.real.pushing import PushToRegistry
from tests.real.registries import RealRegistry

pytestmark = [pytest.mark.long, pytest.mark.real, pytest.mark.timeout(1800)]

PROGRAM = Path(__file__).parents[2] / "deploy" / "compose" / "without_docker.py"
TAGS = [f"v{number}" for number in range(300)]
_LINE = re.compile(r"^([\w-]+): (?:(127\.0\.0\.1:\d+)|runs), process (\d+)$")
_OFTEN = 0.2
_PATIENCE = 600
SILENT = {
    "Errors of upstreams, and tags from memory": "no upstream has failed",
    "Pulls that upstream allows": "a registry of one's own counts none",
    "Evicted, an hour": "a registry as the store evicts nothing here",
    "Store": "a registry as the store has no bound here",
    "Workers that wait for a registry's rate": "no rate is set",
}
"""Panels without data in this story, and why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The running parts: their addresses and processes by name."""

    addresses: dict[str, str]
    processes: dict[str, int]
    folder: Path
    program: subprocess.Popen[str]

    def prometheus(self, path: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus."""
        address = self.addresses["prometheus"]
        answer = requests.get(f"http://{address}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def said(self) -> str:
        """The ends of all logs, for a test that fails."""
        return "\n".join(
            f"{log.parent.name}: {log.read_text(errors='replace')[-2000:]}"
            for log in self.folder.glob("*/log")
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    command = [sys.executable, str(PROGRAM), "--workers=4", f"--folder={folder}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        lines = []
        try:
            for line in program.stdout:
                lines.append(line.rstrip())
                if line.startswith("all of it runs"):
                    break
            found = [match.groups() for line in lines if (match := _LINE.match(line))]
            assert len(found) == 9, lines
            yield Stack(
                {name: address for name, address, _ in found},
                {name: int(process) for name, _, process in found},
                folder,
                program,
            )
        finally:
            program.send_signal(signal.SIGTERM)
            program.stdout.read()
            program.wait(300)


def _until(question: Callable[[], bool], stack: Stack) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not question():
        assert time.monotonic() < deadline, stack.said()
        time.sleep(_OFTEN)


@pytest.fixture(scope="module")
def promoted(stack: Stack) -> set[str]:
    """Push 300 images, and kill a worker as it works; returns the tags that were promoted."""
    host = stack.addresses["registry"]
    registry = RealRegistry(host, stack.folder, stack.folder / "registry" / "log")
    target = PushToRegistry(registry)
    for tag in TAGS:
        image = ImageBuilder()
        image.layer(LayerBuilder().file("base", b"the same for all"))
        image.layer(LayerBuilder().file("app", tag.encode() * 1000).file("scratch", b"hidden"))
        image.layer(LayerBuilder().whiteout("scratch").file("more", b"more of it"))
        image.push(target, "apps/web", tag)
    remote = RegistryClient(ClientOptions()).repository(Repository(host, "squashed/web"))

    def tags() -> set[str]:
        try:
            return set(remote.iter_tags())
        except NotFound:  # before the first image
            return set()

    _until(lambda: len(tags()) >= 20, stack)
    os.killpg(stack.processes["worker-2"], signal.SIGKILL)
    assert len(tags()) < len(TAGS), "the worker was to be killed while there is work"
    _until(lambda: len(tags()) >= len(TAGS), stack)
    return tags()


def _jobs(stack: Stack) -> dict[str, Any]:
    path = stack.folder / "serve" / "etc" / "squashproxy" / "squashproxy.yml"
    outcome = run_process(["jobs", "--json", str(path)])
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_every_tag_is_promoted_although_a_worker_died(promoted: set[str]) -> None:
    assert promoted == set(TAGS)


def test_no_job_is_left_and_the_worker_is_back(stack: Stack, promoted: set[str]) -> None:
    assert promoted

    def is_quiet() -> bool:
        found = _jobs(stack)
        return not found["queued"] and not found["running"] and len(found["workers"]) == 4

    _until(is_quiet, stack)
    found = _jobs(stack)
    assert found["parked"] == []
    assert found["failed"] == []


def test_a_pull_through_serve_gets_the_squashed_image(stack: Stack, promoted: set[str]) -> None:
    assert promoted
    path = "v2/apps.example.com/apps/web/manifests/v7"
    accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = requests.get(f"http://{stack.addresses['serve']}/{path}", headers=accepted, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Squashproxy-Source"] in ("squashed", "cached")
    assert len(answer.json()["layers"]) == 2


def test_prometheus_reaches_all_servers_and_knows_the_alerts(
    stack: Stack, promoted: set[str]
) -> None:
    assert promoted

    def are_up() -> bool:
        found = stack.prometheus("query", query='up{job="squashproxy"} == 1')
        return len(found["result"]) == 2

    _until(are_up, stack)
    groups = stack.prometheus("rules")["groups"]
    assert {rule["name"] for group in groups for rule in group["rules"]} == set(ALERTS)
    firing = [
        alert["labels"]["alertname"]
        for alert in stack.prometheus("alerts")["alerts"]
        if alert["state"] == "firing"
    ]
    assert firing == []


def test_the_dashboard_has_data(stack: Stack, promoted: set[str]) -> None:
    assert promoted
    expected = {title for title, _ in queries()} - set(SILENT)

    def is_shown() -> bool:
        """Rates need two scrapes."""
        found = [
            title for title, query in queries() if stack.prometheus("query", query=query)["result"]
        ]
        return expected <= set(found)

    _until(is_shown, stack)


def test_at_its_end_nothing_is_left(stack: Stack, promoted: set[str]) -> None:
    """The last test of this file, for it ends the parts."""
    assert promoted
    stack.program.send_signal(signal.SIGTERM)
    assert stack.program.stdout is not None
    said = stack.program.stdout.read()
    assert stack.program.wait(300) == 0, said
    assert "worker-2: had ended, and runs again" in said
    running = [name for name, process in stack.processes.items() if _lives(process)]
    assert running == []


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
