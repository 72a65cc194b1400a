"""The container image: built by buildah on a base of this machine, squashed, and run by runc."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from squashproxy import __version__
from tests.cli.command_line import run_process
from tests.real.container import Container
from tests.real.judges import run
from tests.real.local_base import make_root
from tests.real.registries import RealRegistry, run_registry

pytestmark = [pytest.mark.long, pytest.mark.real, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PROGRAM = "/opt/squashproxy/bin/squashproxy"
PYTHON = "/opt/squashproxy/bin/python"
VOLUMES = ("/var/lib/squashproxy", "/var/cache/squashproxy")
_WAITS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("waits", flush=True)
signal.pause()
"""
_CONFIGURATION = """\
serve:
  listen: 0.0.0.0:5000
  upstreams: {docker.io: {}}
  store: {directory: /var/lib/squashproxy/store, max_size: 1GiB}
"""


@dataclass(frozen=True, slots=True)
class Built:
    """The image `squashproxy:1` in a registry, its base `python`, and the base's digest."""

    registry: RealRegistry
    base_digest: str

    def manifest(self, image: str) -> dict[str, Any]:
        return self._inspected(image, "--raw")

    def configuration(self, image: str) -> dict[str, Any]:
        return self._inspected(image, "--raw", "--config")

    def _inspected(self, image: str, *what: str) -> dict[str, Any]:
        source = f"docker://{self.registry.host}/{image}"
        found: dict[str, Any] = json.loads(
            run(["skopeo", "inspect", "--tls-verify=false", *what, source])
        )
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("image")
    storage = (f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}")
    program = ["buildah", *storage, "--storage-driver=overlay"]
    environment = {"BUILDAH_ISOLATION": "chroot"}

    def buildah(*words: str | Path) -> str:
        return run([*program, *words], environment).strip()

    with run_registry(folder / "registry") as registry:
        base = folder / "base"
        base.mkdir()
        make_root(base)
        container = buildah("from", "scratch")
        buildah("add", "--quiet", container, base, "/")
        buildah("commit", "--quiet", container, "python")
        digest = folder / "digest"
        push = ("push", "--quiet", "--tls-verify=false")
        buildah(*push, f"--digestfile={digest}", "python", f"docker://{registry.host}/python:1")
        buildah(
            *("build", "--file", ROOT / "deploy" / "Containerfile", "--tag", "squashproxy"),
            *("--network=host", "--tls-verify=false", "--format=docker", "--layers"),
            f"--build-arg=BASE={registry.host}/python",
            f"--build-arg=BASE_DIGEST={digest.read_text()}",
            f"--build-arg=VERSION={__version__}",
            ROOT,
        )
        buildah(*push, "squashproxy", f"docker://{registry.host}/squashproxy:1")
        yield Built(registry, digest.read_text())


@pytest.fixture(scope="module")
def squashed(built: Built) -> str:
    """The image, squashed by our own command; its name in the registry."""
    host = built.registry.host
    outcome = run_process(
        ["copy", "--json", "--verify", f"{host}/squashproxy:1", f"{host}/squashed:1"]
    )
    assert outcome.code == 0, outcome.err
    return "squashed:1"


@pytest.fixture(scope="module")
def container(built: Built, squashed: str, tmp_path_factory: pytest.TempPathFactory) -> Container:
    """The squashed image, unpacked."""
    return Container(built.registry, squashed, tmp_path_factory.mktemp("container"), VOLUMES)


def test_it_stands_on_the_base_that_was_named_by_digest(built: Built) -> None:
    (base,) = built.manifest(f"python@{built.base_digest}")["layers"]
    assert built.manifest("squashproxy:1")["layers"][0]["digest"] == base["digest"]


def test_its_labels_say_what_it_is(built: Built) -> None:
    labels = built.configuration("squashproxy:1")["config"]["Labels"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == "squashproxy"
    assert labels[f"{prefix}.version"] == __version__
    assert labels[f"{prefix}.licenses"] == "Apache-2.0"
    assert labels[f"{prefix}.base.name"] == f"{built.registry.host}/python"
    assert labels[f"{prefix}.base.digest"] == built.base_digest


def test_its_configuration_asks_for_no_root_and_no_shell(built: Built) -> None:
    config = built.configuration("squashproxy:1")["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == [PROGRAM]
    assert set(config["Volumes"]) == set(VOLUMES)
    assert config["Healthcheck"]["Test"][:2] == ["CMD", PYTHON]
    assert config["StopSignal"] == "SIGTERM"


def test_squashed_by_itself_it_has_one_layer_above_its_base(built: Built, squashed: str) -> None:
    before = built.manifest("squashproxy:1")["layers"]
    after = built.manifest(squashed)["layers"]
    assert len(before) > 2
    assert len(after) == 2
    assert after[0] == before[0]


def test_it_runs_with_a_read_only_root_as_an_ordinary_user(container: Container) -> None:
    assert container.user == (65532, 65532)
    done = container.run(PROGRAM, "--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"squashproxy {__version__}")


def test_it_writes_to_its_volumes_alone(container: Container) -> None:
    script = """
places = ["/var/lib/squashproxy", "/var/cache/squashproxy", "/tmp"]
for place in ["", "/etc/squashproxy", "/opt/squashproxy", *places]:
    try:
        open(f"{place}/x", "w").close()
        print(place)
    except OSError:
        pass
"""
    done = container.run(PYTHON, "-c", script)
    assert done.stdout.split() == [*VOLUMES, "/tmp"]
    for place in VOLUMES:  # a new volume of docker takes over the owner of what it covers
        assert (container.root / place.lstrip("/")).stat().st_uid == container.user[0]


def test_it_has_the_parts_of_a_fleet(container: Container) -> None:
    done = container.run(PROGRAM, "worker", "--help")
    assert done.returncode == 0
    done = container.run(PYTHON, "-c", "import celery, redis")
    assert (done.returncode, done.stderr) == (0, "")


def test_its_modules_are_compiled(container: Container) -> None:
    package = next((container.root / "opt/squashproxy/lib").glob("python3.*/site-packages"))
    modules = list((package / "squashproxy").rglob("*.py"))
    compiled = list((package / "squashproxy").rglob("*.pyc"))
    assert len(compiled) == len(modules) > 100
    assert not list(package.glob("pip*"))


def test_in_its_container_it_squashes_itself_again(container: Container, built: Built) -> None:
    host = built.registry.host
    done = container.run(PROGRAM, "copy", "--json", f"{host}/squashproxy:1", f"{host}/again:1")
    assert done.returncode == 0, done.stderr
    assert built.manifest("again:1") == built.manifest("squashed:1")


def test_its_health_check_tells_a_server_from_none(container: Container, built: Built) -> None:
    place = container.root / "etc" / "squashproxy" / "squashproxy.yml"
    place.write_text(_CONFIGURATION)
    _, *check = built.configuration("squashproxy:1")["config"]["Healthcheck"]["Test"]
    with container.running(PYTHON, "-c", _WAITS, until="waits") as name:
        done = container.execute(name, *check)
        assert done.returncode == 1
        assert "Connection refused" in done.stderr
    serve = (PROGRAM, "serve", "/etc/squashproxy/squashproxy.yml")
    with container.running(*serve, until="listening on 0.0.0.0:5000") as name:
        done = container.execute(name, *check)
        assert (done.returncode, done.stderr) == (0, "")


def test_every_dependency_has_a_wheel_for_arm64(tmp_path: Path) -> None:
    """No machine here runs arm64. That pip needs no compiler there is what can be shown."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["fleet"]]
    versions = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
        *("--only-binary=:all:", "--python-version=3.13", f"--target={tmp_path}", "--report=-"),
        *(f"--platform={version}" for version in versions),
        *wanted,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    files = [each["download_info"]["url"] for each in json.loads(done.stdout)["install"]]
    assert any("aarch64" in file for file in files)
    assert not any("x86_64" in file for file in files)
