"""Two registries of Debian, four workers: promoted, cleaned up, and put back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from tests.automation.workers.twin import ROOT, WorkerProgram, program
from tests.cleanup.room import image
from tests.fleet.redis_server import RedisServer
from tests.real.registries import run_registry

pytestmark = [pytest.mark.real, pytest.mark.long]
_TAGS = [f"v{number}" for number in range(20)]
_CONFIG = """state: state
layer_memory: none
engine: {{kind: celery, broker: '{broker}', lease: 3s, jobs: 1}}
promote:
  - {{name: apps, from: '{old}/apps/*', to: '{new}/prod/{{repo}}'}}
cleanup:
  - {{name: old, repositories: ['{new}/prod/*'], action: delete, keep: {{tags: ['v1*']}}}}
"""


def _run(config: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        program(*words, "--json", str(config)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _there(client: RegistryClient, host: str) -> set[str]:
    return {
        f"{repo}:{tag}"
        for repo in ("web", "api")
        for tag in client.repository(Repository(host, f"prod/{repo}")).iter_tags()
    }


def test_images_move_vanish_and_come_back(tmp_path: Path, broker: RedisServer) -> None:
    with (
        run_registry(tmp_path / "old") as old,
        run_registry(tmp_path / "new") as new,
        RegistryClient(environ={}) as client,
    ):
        for repo in ("web", "api"):
            remote = client.repository(Repository(old.host, f"apps/{repo}"))
            for tag in _TAGS:
                built = image(f"{repo}{tag}")
                for digest, data in built.blobs.items():
                    remote.upload_blob([data], digest)
                remote.put_manifest(built.manifest, tag)
        config = tmp_path / "sp.yml"
        config.write_text(_CONFIG.format(broker=broker.url, old=old.host, new=new.host))
        workers = [WorkerProgram.start(config, tmp_path / f"{number}.log") for number in range(4)]
        try:
            for each in workers:
                each.wait_for(" takes ")
            for outcome in ("copied", "current"):
                images = _run(config, "promote")["images"]
                assert [each["outcome"] for each in images] == [outcome] * 40
            whole = _there(client, new.host)
            cleaned = _run(config, "cleanup", "--apply")
            assert {name.partition(":")[2][:2] for name in _there(client, new.host)} == {"v1"}
            _run(config, "cleanup", "--undo", cleaned["log"])
            assert _there(client, new.host) == whole
        finally:
            for each in workers:
                each.kill()
