"""A cleanup of 200 tags on two real registries, while another process pushes, retags and signs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cleanup.results import StepOutcome
from squashproxy.digest import Digest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from tests.real.programs import find_program
from tests.real.registries import RealRegistry, run_referrers, run_registry
from tests.real.test_cleanup_real import Put, collect, configured, picture, pull_whole, told

pytestmark = pytest.mark.real

TAGS = 200
KEPT = 10
REPO = "apps/raced"
TIMES = range(51)

Start = Callable[[Path], AbstractContextManager[RealRegistry]]


@pytest.fixture(
    params=["distribution", pytest.param("go-containerregistry", marks=pytest.mark.long)]
)
def start(request: pytest.FixtureRequest, programs: Path) -> Start:
    """Start a registry of this make in a folder."""
    if request.param == "distribution":
        return run_registry
    program = find_program("referrers", programs)
    return lambda folder: run_referrers(folder, program)


def fill(client: RegistryClient, host: str) -> dict[str, Digest]:
    """Ten kept tags, and old ones that share blobs; the digests of all."""
    put = Put(client, host)
    names = [f"keep{number}" for number in range(KEPT)]
    names += [f"old{number}" for number in range(TAGS - KEPT)]
    picture(0, 0).push(put, REPO, names[0])

    def push(number: int) -> Digest:
        return picture(0, number).push(put, REPO, names[number])

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(push, range(TAGS)), strict=True))


class Raced:
    """The neighbour's process; `wants` once it has ended."""

    def __init__(self, host: str, seed: int) -> None:
        command = [sys.executable, "-m", "tests.real.neighbour", host, REPO, str(seed)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"

    def end(self) -> dict[str, Any]:
        said, _ = self._process.communicate("end\n")
        assert self._process.returncode == 0
        found: dict[str, Any] = json.loads(said)
        return found


def race(start: Start, folder: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    with start(folder / "registry") as registry, RegistryClient(environ={}) as client:
        before = fill(client, registry.host)
        config = configured(
            folder,
            f"cleanup:\n  - name: old\n    repositories: ['{registry.host}/{REPO}']\n"
            "    keep: {tags: ['keep*']}\n    action: delete\n",
        )
        neighbour = Raced(registry.host, seed)
        try:
            code, result = told(capsys, "cleanup", "--json", "--apply", config)
        finally:
            said = neighbour.end()
        assert code in (0, 3), result
        if registry.storage.exists():
            collect(registry)
        remote = client.repository(Repository(registry.host, REPO))
        wants = {tag: digest for tag, digest in before.items() if tag.startswith("keep")}
        wants |= said["wants"]
        (repository,) = result["repositories"]
        problem = repository["problem"] or ""
        for tag, digest in wants.items():
            pull_whole(client, remote.name, digest)
            found = remote.find_manifest(tag)
            # Where a tag moves on while distribution deletes the manifest that it has just left,
            # distribution deletes the tag: what is known of it is put back, and it is named.
            is_right = found is not None and found.digest == digest
            assert is_right or f"{tag} vanished while" in problem, (tag, digest, found, problem)
        assert said["moves"] > KEPT, "the neighbour was at work"
        outcomes = [step["outcome"] for step in repository["steps"]]
        assert outcomes.count(StepOutcome.DELETED) > KEPT or problem, outcomes


@pytest.mark.long
@pytest.mark.parametrize("seed", TIMES)
def test_what_a_neighbour_needs_stays(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    race(start, tmp_path, seed, capsys)
