"""compose.yml and the files that its services read; nothing is started here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.compose.without_docker import PORTS, PROGRAMS, Part, PartError, parts_of
from tests.cli.command_line import InProcess
from tests.deploy.command_lines import parse
from tests.real.judges import run

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
DOCUMENT: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
_SPECIFICATION = "github.com/compose-spec/compose-go/v2@v2.16.2"
OURS = ("serve", "run", "worker")

each_service = pytest.mark.parametrize("name", SERVICES)


def _files(name: str) -> dict[str, Path]:
    """The files of the repository that a service gets, by their paths in its container."""
    volumes = [volume.split(":") for volume in SERVICES[name].get("volumes", ())]
    return {inside: COMPOSE / source for source, inside, *_ in volumes if source.startswith(".")}


def test_it_has_all_parts() -> None:
    assert set(SERVICES) == {*OURS, "redis", "registry", "prometheus", "grafana"}


@each_service
def test_what_it_mounts_is_there_and_cannot_be_written(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source, _, *mode = volume.split(":")
        if source.startswith("."):
            assert (COMPOSE / source).is_file(), volume
            assert mode == ["ro"], volume
        else:
            assert source in DOCUMENT["volumes"], volume


@each_service
def test_it_listens_on_loopback_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@each_service
def test_its_image_has_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    assert name in OURS or re.search(r":v?\d[\w.-]*}$", image), image


@each_service
def test_addresses_in_its_files_are_those_of_services(name: str) -> None:
    ports = {**PORTS, "grafana": 3000}
    for path in _files(name).values():
        if path.parent.name == "files":
            continue
        lines = [line.partition(" #")[0] for line in path.read_text().splitlines()]
        text = "\n".join(line for line in lines if not line.startswith("#"))
        for host, port in re.findall(r"\b([a-z]+):(\d{4,5})\b", text):
            assert ports[host] == int(port), f"{path.name}: {host}:{port}"


@pytest.mark.parametrize("name", OURS)
def test_ours_run_a_command_of_ours_as_an_unprivileged_user(name: str) -> None:
    service = SERVICES[name]
    parse(service["command"])
    assert service["command"][-1] in _files(name)
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "user" not in service, "the image has one"
    containerfile = (COMPOSE.parent / "Containerfile").read_text()
    for uid, gid in re.findall(r"uid=(\d+),gid=(\d+)", " ".join(service["tmpfs"])):
        assert f"\nUSER {uid}:{gid}\n" in containerfile


@pytest.mark.parametrize("name", OURS)
def test_ours_get_time_to_end(name: str) -> None:
    least = {"serve": 30, "run": 40, "worker": 50}
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > least[name]


def test_the_configuration_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = InProcess(capsys)("config", "check", str(COMPOSE / "squashproxy.yml"))
    assert outcome.code == 0, outcome.err


def test_the_image_is_built_from_the_arguments_of_the_containerfile() -> None:
    containerfile = (COMPOSE.parent / "Containerfile").read_text()
    for name in OURS:
        build = SERVICES[name]["build"]
        assert (COMPOSE / build["context"] / build["dockerfile"]).is_file()
        for argument in build["args"]:
            assert re.search(rf"^ARG {argument}\b", containerfile, re.MULTILINE), argument


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    files = _files("grafana")
    (source,) = yaml.safe_load((COMPOSE / "grafana" / "datasource.yml").read_text())["datasources"]
    assert source["url"] == f"http://prometheus:{PORTS['prometheus']}"
    (provider,) = yaml.safe_load((COMPOSE / "grafana" / "dashboards.yml").read_text())["providers"]
    shown = [inside for inside in files if inside.startswith(f"{provider['options']['path']}/")]
    assert [files[inside].name for inside in shown] == ["dashboard.json"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert [home] == shown


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """What would be started without docker, programs that are not installed included."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    found, left_out = parts_of(tmp_path, 2)
    assert left_out == ["grafana"]
    return {part.name: part for part in found}


def test_without_docker_the_same_parts_are_started_in_their_order(parts: dict[str, Part]) -> None:
    order = list(parts)
    assert set(order) == {"serve", "run", "worker-1", "worker-2", "redis", "registry", "prometheus"}
    for name in ("serve", "run", "worker-1"):
        assert order.index(name) > max(order.index("redis"), order.index("registry"))


def test_without_docker_no_address_or_path_of_a_container_is_left(
    parts: dict[str, Part], tmp_path: Path
) -> None:
    texts = [word for part in parts.values() for word in part.command]
    texts += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(texts) > len(parts)
    for text in texts:
        lines = [line.partition("#")[0] for line in text.splitlines()]
        for name, port in PORTS.items():
            assert not any(re.search(rf"\b{name}:{port}\b", line) for line in lines), text
        for place in ("/etc/", "/data", "/prometheus/"):
            assert not any(re.search(rf"(?<![\w.-]){place}", line) for line in lines), text


def test_without_docker_each_part_has_an_address_of_its_own(parts: dict[str, Part]) -> None:
    addresses = [part.address for part in parts.values() if part.address]
    assert len(set(addresses)) == len(addresses) == len(PORTS)
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_without_docker_the_files_say_the_same(parts: dict[str, Part], tmp_path: Path) -> None:
    """Putting the addresses and paths back gives the files of the repository."""
    configuration = tmp_path / "serve" / "etc" / "squashproxy" / "squashproxy.yml"
    text = configuration.read_text().replace(str(tmp_path / "serve"), "")
    text = text.replace(parts["serve"].address, "0.0.0.0:5000")
    for name in ("redis", "registry"):
        text = text.replace(parts[name].address, f"{name}:{PORTS[name]}")
    assert yaml.safe_load(text) == yaml.safe_load((COMPOSE / "squashproxy.yml").read_text())


def test_a_program_that_is_not_installed_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(PartError, match=r"^redis-server is not installed; on Debian: apt-get"):
        parts_of(tmp_path, 1)


@pytest.mark.real
def test_the_programs_are_installed() -> None:
    for (program,) in PROGRAMS.values():
        assert shutil.which(program) is not None


@pytest.mark.real
def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    parts_of(tmp_path, 1)
    path = tmp_path / "prometheus" / "etc" / "prometheus" / "prometheus.yml"
    done = subprocess.run(
        ["promtool", "check", "config", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


@pytest.mark.real
@pytest.mark.long
def test_it_fits_the_compose_specification() -> None:
    found = json.loads(run(["go", "mod", "download", "-json", _SPECIFICATION]))
    schema = json.loads((Path(found["Dir"]) / "schema" / "compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(DOCUMENT)
