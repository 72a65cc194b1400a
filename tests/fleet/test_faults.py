"""Whatever happens to brokers and workers: no job is lost, run by two at once, or left standing.

tests/bench/fleet_faults.py plays each fault many times, and writes a table.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from squashproxy.fleet import settings as room
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.settings import FleetSettings
from tests.fleet.faults import FAULTS, Fault, play
from tests.fleet.test_worker import Asking, request
from tests.fleet.worker_process import workers

SEEDS = range(1, 4)


def test_no_job_is_lost_or_run_by_two_when_the_broker_loses_its_data(tmp_path: Path) -> None:
    found = play(FAULTS["broker restarted, without"], 0, tmp_path)
    assert found.is_right, found


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_no_job_is_lost_or_run_by_two_whenever_it_happens(
    fault: Fault, seed: int, tmp_path: Path
) -> None:
    found = play(fault, seed, tmp_path)
    assert found.is_right, found


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_job_that_outlasts_the_visibility_time_out_runs_once(
    settings: FleetSettings, tmp_path: Path
) -> None:
    """kombu looks for messages to hand out again about every 100 s."""
    short = replace(settings, visibility=3)
    with workers(short, tmp_path, 2) as started, Fleet(short) as fleet:
        asking = Asking(fleet, request("long", seconds=130.0))
        asking._thread.join(300)
        assert asking.join()["answer"] == 42
        assert fleet.snapshot().deliveries == 1
        assert any(" is leased" in each.log.read_text() for each in started)


def test_no_clock_of_a_machine_decides_anything() -> None:
    """Times that machines compare are the broker's; what one measures for itself is monotonic."""
    wall_clocks = {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime", "datetime", "now"}
    found = []
    for path in Path(room.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in wall_clocks:
                found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                found.append(f"{path.name}:{node.lineno}: from {node.module}")
    assert found == []
