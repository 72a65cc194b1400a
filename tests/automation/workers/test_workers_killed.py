"""Workers that are killed (-9) in the middle of their jobs: nothing is lost, nothing done twice."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from squashproxy.testing import FakeRegistry
from tests.automation.workers.test_cleanup_on_workers import entries_of
from tests.automation.workers.twin import Registries, Side, Twin, program, same
from tests.cleanup.room import image

_PROMOTE = "promote:\n  - name: apps\n    from: OLD/apps/*\n    to: NEW/prod/{repo}\n"
_CLEANUP = """cleanup:
  - name: old
    repositories: ["NEW/app"]
    action: ACTION
    keep: {tags: [keep]}
"""


def _push_sources(registries: Registries) -> None:
    for repo in ("apps/web", "apps/api"):
        for tag in ("v1", "v2"):
            image(f"{repo}{tag}").push(registries.old, repo, tag)


def _push_targets(registries: Registries) -> None:
    for tag in ("a", "b", "c", "keep"):
        image(tag).push(registries.new, "app", tag)


@contextmanager
def _once(
    registry: FakeRegistry, method: str, path: str, number: int, act: Callable[[], object]
) -> Iterator[threading.Event]:
    """Act right before request `number` of a kind is answered; the event says that it was."""
    done = threading.Event()
    lock = threading.Lock()
    left = number

    def watch(asked: str, where: str) -> None:
        nonlocal left
        if asked != method or not re.search(path, where):
            return
        with lock:
            left -= 1
            if left == 0:
                act()
                done.set()

    registry.before_each(watch)
    yield done


def with_a_killed_worker(
    twin: Twin, kill_at: tuple[FakeRegistry, str, str, int], *words: str, workers: int = 1
) -> tuple[int, dict[str, Any], str]:
    """Run a command on the fleet's side; one of its workers is killed, and another one comes."""
    with twin.working(workers) as (first, *_), _once(*kill_at, first.kill) as killed:
        side = twin.fleet
        process = subprocess.Popen(
            program(*words, "--json", str(side.config)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert killed.wait(60), first.log.read_text()
            with twin.working():
                out, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    plain = side.registries.plain
    return process.returncode, json.loads(plain(out)) if out else {}, plain(errors)


@pytest.mark.long
def test_a_promotion_goes_on_with_another_worker(twin: Twin) -> None:
    twin.fill(_push_sources)
    twin.write(_PROMOTE)
    old = twin.fleet.registries.old
    code, document, errors = with_a_killed_worker(twin, (old, "GET", "/blobs/", 3), "promote")
    assert code == 0, errors
    local = twin.local.run("promote")
    assert same(document) == same(local.document)
    assert twin.fleet.registries.tags == twin.local.registries.tags


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        ("delete", "DELETE", "/manifests/"),
        pytest.param("squash", "PUT", "/manifests/[^s]", marks=pytest.mark.long),
    ],
)
def test_a_cleanup_goes_on_and_its_log_knows_what_was_done(
    twin: Twin, action: str, method: str, path: str
) -> None:
    twin.fill(_push_targets)
    twin.write(_CLEANUP.replace("ACTION", action))
    before = twin.fleet.registries.tags
    new = twin.fleet.registries.new
    code, document, errors = with_a_killed_worker(
        twin, (new, method, path, 2), "cleanup", "--apply"
    )
    assert code == 0, errors
    local = twin.local.run("cleanup", "--apply")
    assert _steps(document) == _steps(local.document)
    assert twin.fleet.registries.tags == twin.local.registries.tags != before
    logged = {entry[:4] for entry in entries_of(twin.fleet, document)}
    assert logged == {entry[:4] for entry in entries_of(twin.local, local.document)}
    undone = twin.fleet.run("cleanup", "--undo", _log(twin.fleet, document))
    assert undone.code == 0, undone.errors
    assert twin.fleet.registries.tags == before


def _steps(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What happened to which tags; not why: a second worker finds done what the first one did."""
    return sorted(
        (step["action"], step["digest"], *step["tags"], step["outcome"], str(step["became"]))
        for repository in document["repositories"]
        for step in repository["steps"]
    )


def _log(side: Side, document: dict[str, Any]) -> str:
    return side.registries.named(document["log"])
