"""Every client pulls through, with the snippet of deploy/ that its users copy."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from tests.real.docker_daemon import run_docker, why_no_docker
from tests.real.judges import run
from tests.real.programs import find_program
from tests.real.pushing import PushToRegistry
from tests.real.registries import PASSWORD, USER, RealRegistry, run_registry
from tests.real.serving import DEPLOY, RealServer, configuration_for, run_server, snippet
from tests.server.serving import app, both_platforms

pytestmark = pytest.mark.real
REPO = "team/app"
NAME = f"docker.io/{REPO}:1"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    """Debian's registry, which asks for a password; it stands in for Docker Hub."""
    with run_registry(tmp_path_factory.mktemp("upstream"), secured=True) as registry:
        target = PushToRegistry(registry)
        app(layers=5, size=200_000).push(target, REPO, "1")
        yield registry


@pytest.fixture
def server(upstream: RealRegistry, tmp_path: Path) -> Iterator[RealServer]:
    configuration = configuration_for(upstream, {"directory": str(tmp_path / "store")})
    with run_server(tmp_path / "server", configuration) as running:
        yield running


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder with a short name, as sockets and podman want it."""
    with tempfile.TemporaryDirectory(prefix="sp") as folder:
        yield Path(folder)


def tags_served(server: RealServer) -> list[str]:
    """Where the manifests came from that were asked for by tag, by GET or HEAD."""
    return [
        line["source"]
        for line in server.requests
        if "/manifests/1" in line["path"] and line["status"] == 200
    ]


def squashed_digest(server: RealServer) -> str:
    client = RegistryClient(ClientOptions(plain_http=frozenset({server.host})))
    with client:
        found = client.repository(Repository(server.host, f"docker.io/{REPO}")).find_manifest("1")
    assert found is not None
    return found.digest


def layers_in(folder: Path) -> int:
    """The number of layers of the only image of a layout."""
    index = json.loads((folder / "index.json").read_text())
    algorithm, _, digits = index["manifests"][0]["digest"].partition(":")
    manifest = json.loads((folder / "blobs" / algorithm / digits).read_text())
    return len(manifest["layers"])


def test_skopeo_and_the_tree_is_the_same(
    server: RealServer, upstream: RealRegistry, tmp_path: Path
) -> None:
    conf = snippet("podman/registries.conf", server, tmp_path)
    for number in (1, 2):
        layout = tmp_path / f"layout{number}"
        command = ["skopeo", "--insecure-policy", f"--registries-conf={conf}", "copy", "--quiet"]
        run([*command, f"docker://{NAME}", f"oci:{layout}:1"])
        assert layers_in(layout) == 2
    assert tags_served(server) == ["squashed", "cached"]
    name = f"SQUASHPROXY_AUTH_{upstream.host.upper().replace('.', '_').replace(':', '_')}"
    verify = [sys.executable, "-m", "squashproxy", "verify", "--json"]
    environment = os.environ | {name: f"{USER}:{PASSWORD}"}
    first = f"oci:{tmp_path / 'layout1'}:1"
    run([*verify, f"{upstream.host}/{REPO}:1", first], environment)


@pytest.mark.parametrize("program", ["podman", "buildah"])
def test_podman_and_buildah(server: RealServer, tmp_path: Path, shelf: Path, program: str) -> None:
    conf = snippet("podman/registries.conf", server, tmp_path)
    environment = os.environ | {"CONTAINERS_REGISTRIES_CONF": str(conf)}
    for number in (1, 2):
        short = shelf / str(number)
        storage = [f"--root={short / 'root'}", f"--runroot={short / 'run'}"]
        command = [program, *storage, "--storage-driver=vfs"]
        run([*command, "pull", "--quiet", NAME], environment)
        inspected = json.loads(run([*command, "inspect", "--type=image", NAME], environment))
        image: dict[str, Any] = inspected[0] if isinstance(inspected, list) else inspected
        root = image.get("RootFS") or image["OCIv1"]["rootfs"]
        assert len(root.get("Layers") or root["diff_ids"]) == 2
    assert tags_served(server) == ["squashed", "cached"]


@pytest.mark.long
def test_crane(server: RealServer, programs: Path, tmp_path: Path) -> None:
    crane = find_program("crane", programs)
    name = f"{server.host}/{NAME}"
    digests = {run([crane, "digest", name]).strip() for _ in range(2)}
    assert digests == {squashed_digest(server)}
    run([crane, "validate", "--remote", name])
    run([crane, "pull", "--format=oci", name, tmp_path / "layout"])
    assert layers_in(tmp_path / "layout") == 2


@pytest.mark.long  # building them takes minutes of a processor
@pytest.mark.parametrize(
    ("client", "file"),
    [("containerd", "containerd/docker.io/hosts.toml"), ("buildkit", "buildkit/buildkitd.toml")],
)
def test_containerd_and_buildkit(
    server: RealServer, programs: Path, tmp_path: Path, client: str, file: str
) -> None:
    """containerd resolves by HEAD, and asks with ?ns=; BuildKit has its mirrors' path, too."""
    puller = find_program("puller", programs)
    path = snippet(file, server, tmp_path)
    folder = tmp_path / "containerd" if client == "containerd" else path
    for source in ("squashed", "cached"):
        found = json.loads(run([puller, client, folder, NAME]))
        assert found["target"]["digest"] == squashed_digest(server)
        assert len(found["blobs"]) == 4, "a manifest, a config and two layers"
        assert source in tags_served(server)
    assert any("ns=docker.io" in line["path"] for line in server.requests)


@pytest.mark.skipif(why_no_docker() is not None, reason=f"docker: {why_no_docker()}")
@pytest.mark.parametrize("way", ["as a mirror", "by its name"])
def test_docker(server: RealServer, tmp_path: Path, shelf: Path, way: str) -> None:
    daemon = snippet("docker/daemon.json", server, tmp_path)
    name = NAME if way == "as a mirror" else f"{server.host}/{NAME}"
    with run_docker(shelf / "docker", daemon) as environment:
        for _ in range(2):
            told = run(["docker", "pull", name], environment)
            assert squashed_digest(server) in told
            format_ = "{{json .RootFS.Layers}}"
            layers = json.loads(
                run(["docker", "inspect", f"--format={format_}", name], environment)
            )
            assert len(layers) == 2
            run(["docker", "rmi", name], environment)
    assert tags_served(server)[0] == "squashed"
    assert set(tags_served(server)[1:]) == {"cached"}


def test_the_kubelet_s_pod_runs_what_there_is(server: RealServer) -> None:
    """No kubelet runs here: what its file says is held against the server and the container."""
    pod = yaml.safe_load((DEPLOY / "kubelet" / "squashproxy.yaml").read_text())
    [container] = pod["spec"]["containers"]
    for probe in ("readinessProbe", "livenessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert requests.get(f"http://{server.host}{path}", timeout=10).status_code == 200
    verb, file = container["args"]
    assert verb == "serve"
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    written = yaml.safe_load((DEPLOY / "serve" / "squashproxy.yml").read_text())
    assert str(Path(file).parent) in mounts
    assert written["serve"]["store"]["directory"] in mounts


def test_the_store_is_a_layout_that_others_read(server: RealServer, tmp_path: Path) -> None:
    squashed_digest(server)
    layout = f"{tmp_path / 'store'}:{NAME}"
    told = json.loads(run(["skopeo", "inspect", "--raw", f"oci:{layout}"]))
    assert len(told["layers"]) == 2
    assert run(["umoci", "ls", "--layout", tmp_path / "store"]).split() == [NAME]
    run(["umoci", "unpack", "--rootless", "--image", layout, tmp_path / "bundle"])
    assert (tmp_path / "bundle" / "rootfs" / "same").exists()


def test_an_image_of_several_platforms(
    server: RealServer, upstream: RealRegistry, tmp_path: Path
) -> None:
    both_platforms().push(PushToRegistry(upstream), "team/both", "1")
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false"]
    source = f"docker://{server.host}/docker.io/team/both:1"
    run([*command, source, f"oci:{tmp_path / 'layout'}:1"])
