"""The operator's guide: its figures were measured, and what it names is there."""

from __future__ import annotations

import re

import pytest

from tests.deploy.monitoring import selectors
from tests.documents.markdown import documents

GUIDE = documents()["deploy/README.md"].text
MEASURED = documents()["tests/bench/README.md"].text


def _section(title: str) -> str:
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_figures_for_sizing_were_measured() -> None:
    rows = [line for line in _section("Sizing").splitlines() if line.startswith("| ")]
    figures = [figure for row in rows for figure in re.findall(r"\d[\d,]*(?:\.\d+)?", row)]
    assert len(figures) > 15
    assert [figure for figure in figures if figure not in MEASURED] == []


def test_every_metric_that_it_names_is_served(served: dict[str, set[str]]) -> None:
    named = dict(selectors(_section("What to watch")))
    families = {name.removesuffix("_bucket") for name in served}
    assert named
    assert {name for name in named if name not in served and name not in families} == set()


@pytest.mark.parametrize("title", ["The image", "Backups", "Upgrades", "What to watch", "Alerts"])
def test_it_has_what_an_operator_looks_for(title: str) -> None:
    assert len(_section(title)) > 500
