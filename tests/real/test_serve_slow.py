"""A pull that meets a job which takes longer than it may wait: each client gets the original."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.real.docker_daemon import run_docker, why_no_docker
from tests.real.judges import run
from tests.real.programs import find_program
from tests.real.serving import RealServer, configuration_for, run_server, snippet
from tests.server.serving import app

pytestmark = pytest.mark.real
REPO = "team/app"
NAME = f"docker.io/{REPO}:1"
LAYERS = 5

Pull = Callable[[RealServer, Path, Path], None]


def by_skopeo(server: RealServer, folder: Path, _: Path) -> None:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
    run([*command, f"docker://{server.host}/{NAME}", f"oci:{folder / 'pulled'}:1"])


def by_podman(server: RealServer, folder: Path, _: Path) -> None:
    conf = snippet("podman/registries.conf", server, folder)
    storage = [f"--root={folder / 'root'}", f"--runroot={folder / 'run'}", "--storage-driver=vfs"]
    environment = os.environ | {"CONTAINERS_REGISTRIES_CONF": str(conf)}
    run(
        ["podman", *storage, "pull", "--quiet", f"{server.host}/{NAME}", "--tls-verify=false"],
        environment,
    )


def by_crane(server: RealServer, folder: Path, programs: Path) -> None:
    crane = find_program("crane", programs)
    run([crane, "pull", "--format=oci", f"{server.host}/{NAME}", folder / "pulled"])


def by_containerd(server: RealServer, folder: Path, programs: Path) -> None:
    snippet("containerd/docker.io/hosts.toml", server, folder)
    found = run([find_program("puller", programs), "containerd", folder / "containerd", NAME])
    assert len(json.loads(found)["blobs"]) == LAYERS + 2


def by_buildkit(server: RealServer, folder: Path, programs: Path) -> None:
    toml = snippet("buildkit/buildkitd.toml", server, folder)
    found = run([find_program("puller", programs), "buildkit", toml, NAME])
    assert len(json.loads(found)["blobs"]) == LAYERS + 2


def by_docker(server: RealServer, folder: Path, _: Path) -> None:
    if why_no_docker() is not None:
        pytest.skip(f"docker: {why_no_docker()}")
    with run_docker(
        folder / "docker", snippet("docker/daemon.json", server, folder)
    ) as environment:
        run(["docker", "pull", "--quiet", NAME], environment)


CLIENTS = {
    "skopeo": by_skopeo,
    "podman": by_podman,
    "crane": by_crane,
    "containerd": by_containerd,
    "buildkit": by_buildkit,
    "docker": by_docker,
}
OFTEN = ("skopeo", "docker")
"""Those that every run tries: each waits half a minute, and some take minutes to build."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short name, as sockets and podman want it."""
    with tempfile.TemporaryDirectory(prefix="sp") as short:
        yield Path(short)


@pytest.mark.parametrize(
    "pull",
    [
        pytest.param(pull, id=name, marks=() if name in OFTEN else pytest.mark.long)
        for name, pull in CLIENTS.items()
    ],
)
def test_the_original_is_pulled_while_the_job_goes_on(
    pull: Pull, folder: Path, programs: Path
) -> None:
    """The job hangs at the last layer, of which it is the first to ask; clients get that layer."""
    with FakeRegistry() as upstream:
        source = app(layers=LAYERS, size=100_000).push(upstream, REPO, "1")
        last = json.loads(upstream.manifest(REPO, source).data)["layers"][-1]["digest"]
        hang = upstream.arm(Fault("GET", last, FaultKind.HANG))
        configuration: dict[str, Any] = configuration_for(
            upstream.url, {"directory": str(folder / "store")}
        )
        configuration["serve"]["first_pull"] = {"wait": "1s", "then": "original"}
        with run_server(folder / "server", configuration) as server:
            pull(server, folder, programs)
            status = requests.get(f"http://{server.host}/api/v1/status", timeout=30).json()
            assert [job["image"] for job in status["jobs"]] == [NAME]
            answers = [line for line in server.requests if "/manifests/" in line["path"]]
            assert {line["status"] for line in answers} == {200}
            assert max(line["seconds"] for line in answers) < 10
            digests = {line["source"] for line in answers}
            assert "squashed" not in digests
            hang.release()
