"""What is handed to systemd and Kubernetes: their own tools where they are, and our own verbs."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from squashproxy.cli.main import squashproxy
from squashproxy.config.read import parse_configuration
from squashproxy.rules.timetable import parse_cron

DEPLOY = Path(__file__).parents[2] / "deploy"
OBJECTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "kubernetes" / "cronjobs.yml").read_text())
)
CRON_JOBS = {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == "CronJob"}


def parse(arguments: list[str]) -> None:
    """A command line must be one of ours."""
    verb, *rest = arguments
    group = click.Context(squashproxy, help_option_names=["-h", "--help"])
    command = squashproxy.get_command(group, verb)
    assert command is not None
    with command.make_context(verb, rest, parent=group) as context:
        assert not context.args


def test_the_unit_runs_our_verb_and_reloads_it() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / "squashproxy.service")
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.endswith("/squashproxy")
    parse(arguments)
    assert "-HUP $MAINPID" in service["ExecReload"]
    assert int(service["TimeoutStopSec"]) > 40, "a run has 30 s to end, and 10 to be cancelled"


@pytest.mark.parametrize("name", CRON_JOBS)
def test_a_cron_job_runs_our_verb_and_never_overlaps(name: str) -> None:
    spec = CRON_JOBS[name]["spec"]
    parse_cron(spec["schedule"])
    assert spec["concurrencyPolicy"] == "Forbid"
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    parse(container["args"])
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    claims = {each["metadata"]["name"] for each in OBJECTS if each["kind"] != "CronJob"}
    assert "squashproxy" in claims


def test_the_configuration_in_the_config_map_is_valid() -> None:
    (config_map,) = [each for each in OBJECTS if each["kind"] == "ConfigMap"]
    text = config_map["data"]["squashproxy.yml"]
    found = parse_configuration(text, "squashproxy.yml", Path(), {})
    assert found.promote
    assert found.cleanup
