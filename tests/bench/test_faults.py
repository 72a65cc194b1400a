"""The tables of faults are still made, and nothing in them is wrong or hangs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bench import fault_sums
from tests.bench.readme import README

ROWS = {
    "copy": ("faults", 2),
    "promote and cleanup": ("rule_faults", 4),
    "serve": ("serve_faults", 3),
}
FAKE = pytest.param("fake", marks=pytest.mark.long)
REAL = pytest.param("distribution2", marks=(pytest.mark.long, pytest.mark.real))


@pytest.mark.parametrize("registry", [FAKE, REAL])
@pytest.mark.parametrize(("table", "count"), ROWS.values(), ids=ROWS)
def test_a_row_of_each_table(table: str, count: int, registry: str) -> None:
    command = [sys.executable, "-m", f"tests.bench.{table}", "--runs", "1", "--kind", "no answer"]
    command += ["--registry", registry]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()
        if line.startswith("|")
    ]
    assert head[-5:] == ["runs", "right", "clear error", "wrong", "hung"]
    assert len(rows) == count
    for row in rows:
        runs, right, clear_error, wrong, hung = map(int, row[-5:])
        assert runs == right + clear_error == 1, row
        assert wrong == hung == 0, row


def test_the_readme_has_the_sums_of_the_tables_and_nothing_is_wrong_or_hangs() -> None:
    found = fault_sums.rows()
    assert fault_sums.to_markdown(found) in README.read_text()
    assert [row for row in found if row.counts[3] or row.counts[4]] == []
    assert all(row.counts[0] == sum(row.counts[1:]) for row in found)
