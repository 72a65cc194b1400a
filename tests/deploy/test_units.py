"""The units for systemd: judged by systemd itself, and their commands by our own parser."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.deploy.command_lines import parse

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
PROGRAM = "/usr/local/bin/squashproxy"
MOST_EXPOSED = 1.5
"""Of 10, by `systemd-analyze security`; an unprotected service has 9.6."""

each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


def _service(unit: Path) -> configparser.SectionProxy:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(unit)
    return parsed["Service"]


def _verb(unit: Path) -> str:
    return shlex.split(_service(unit)["ExecStart"])[1]


def _here(unit: Path, folder: Path) -> Path:
    """A copy of a unit that runs a program of this machine: systemd looks whether it is there."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return copy


def _systemd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_there_is_a_unit_for_each_command_that_goes_on() -> None:
    assert {_verb(unit) for unit in UNITS} == {"run", "serve", "worker"}


@each_unit
def test_it_runs_a_command_of_ours(unit: Path) -> None:
    program, *arguments = shlex.split(_service(unit)["ExecStart"])
    assert program == PROGRAM
    parse(arguments)


@each_unit
def test_it_has_time_to_end_and_is_not_started_again_with_a_wrong_configuration(unit: Path) -> None:
    service = _service(unit)
    assert int(service["TimeoutStopSec"]) > 40, "a run has 30 s to end, and 10 to be cancelled"
    assert service["RestartPreventExitStatus"] == "2"


@each_unit
def test_a_stop_while_it_starts_is_no_failure(unit: Path) -> None:
    """130 is what an interrupted command ends with."""
    assert _service(unit)["SuccessExitStatus"] == "130"


def test_rules_are_read_again_without_a_restart() -> None:
    (unit,) = [unit for unit in UNITS if _verb(unit) == "run"]
    assert "-HUP $MAINPID" in _service(unit)["ExecReload"]


@pytest.mark.real
@each_unit
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    done = _systemd("verify", _here(unit, tmp_path))
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.real
@each_unit
def test_systemd_finds_little_that_it_exposes(unit: Path, tmp_path: Path) -> None:
    done = _systemd("security", "--offline=true", _here(unit, tmp_path))
    found = re.search(r"Overall exposure level for \S+ ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found.group(1)) <= MOST_EXPOSED, done.stdout
