"""What is handed to systemd and Kubernetes: their own tools where they are, and our own verbs."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

from tests.deploy.command_lines import parse

DEPLOY = Path(__file__).parents[2] / "deploy"


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
