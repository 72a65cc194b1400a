"""The benchmark still runs: a tiny image, real tools, every part of its output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import fleet
from tests.bench.results import PEER, Results, Row

IMAGES = ("half-deleted",)


@pytest.mark.real
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_tiny_run_gives_a_table_a_chart_and_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--runs", "1", "--scale", "0.005"]
    command += ["--images", *IMAGES, "--into", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads((tmp_path / "results.json").read_text())
    rows = {(row["image"], row["tool"]): row for row in found["rows"]}
    for image in IMAGES:
        assert {"squashproxy", "skopeo copy", "floor"} <= {tool for at, tool in rows if at == image}
        row = rows[image, "squashproxy"]
        assert row["result"] < rows[image, "skopeo copy"]["result"]
        assert row["wall"] > 0
        assert 10 << 20 < row["peak"] < 200 << 20
        assert row["result"] < row["up"] + 1000
        assert found["figures"][f"{image}: new layer, in units of its share of the source"] < 1.1
    assert done.stdout == (tmp_path / "results.md").read_text()
    assert done.stdout.count("| skopeo copy |") == len(IMAGES)
    assert "</svg>" in (tmp_path / "chart.svg").read_text()


def _results(machine: str, seconds: float, *images: str) -> Results:
    rows = [Row(image, "", PEER, 1, seconds, 0, 0, 0, 0, None) for image in images]
    return Results(machine, 1.0, rows, {f"{image}: x": seconds for image in images}, ())


def test_images_that_a_run_leaves_out_keep_their_results() -> None:
    order = ["a", "b", "c"]
    earlier = _results("this", 1.0, "a", "b", "c")
    both = _results("this", 2.0, "b").with_others_of(earlier, order)
    assert [(row.image, row.wall) for row in both.rows] == [("a", 1.0), ("b", 2.0), ("c", 1.0)]
    assert both.figures == {"a: x": 1.0, "b: x": 2.0, "c: x": 1.0}
    elsewhere = _results("another", 1.0, "a")
    assert _results("this", 2.0, "b").with_others_of(elsewhere, order).figures == {"b: x": 2.0}


@pytest.mark.long
def test_a_tiny_fleet_shares_its_layers_when_pruned_and_not_when_squashed(tmp_path: Path) -> None:
    plain, pruned, squashed, _ = fleet.measure(0.004)
    assert pruned.held < 0.9 * plain.held
    assert pruned.pulled < 0.9 * plain.pulled
    assert squashed.held > 2 * plain.held
    fleet.draw([plain, pruned, squashed], tmp_path / "fleet.svg")
    assert "</svg>" in (tmp_path / "fleet.svg").read_text()
    assert fleet.to_markdown([plain, pruned]).count("| 1.00 |") == 2


TABLES = {
    "kills": ("--runs", "1", "--verb", "verify"),
    "hostile": ("--image", "a symlink to a megabyte", "--verb", "plan"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_proofs_is_printed(name: str) -> None:
    command = [sys.executable, "-m", f"tests.bench.{name}", *TABLES[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    head, rule, *rows = done.stdout.splitlines()
    assert rows
    assert {line.count(" | ") for line in (head, rule, *rows)} == {head.count(" | ")}
    assert done.stderr == ""
