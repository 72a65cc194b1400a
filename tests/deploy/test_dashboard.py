"""The dashboard shows what the server measures, and alerts watch nothing else."""

from __future__ import annotations

import json

from tests.deploy.monitoring import DASHBOARD, expressions, panels, queries, selectors

OF_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus adds when it scrapes."""


def test_every_series_that_is_named_is_served_and_has_its_labels(
    served: dict[str, set[str]],
) -> None:
    for place, expression in expressions():
        for name, labels in selectors(expression):
            assert name in served, f"{place} names {name}, which nothing serves"
            assert labels <= served[name] | OF_PROMETHEUS, f"{place}: {name} has no such label"


def test_every_series_that_is_served_is_shown(served: dict[str, set[str]]) -> None:
    shown = {name for _, query in queries() for name, _ in selectors(query)}
    besides = ("_created", "_sum", "_count")
    unseen = {name for name in served if name not in shown and not name.endswith(besides)}
    assert unseen == set()


def test_panels_have_numbers_titles_and_places_of_their_own() -> None:
    all_panels = DASHBOARD["panels"]
    for key in ("id", "title"):
        values = [panel[key] for panel in all_panels]
        assert len(set(values)) == len(values), key
    taken: set[tuple[int, int]] = set()
    for panel in all_panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_panels_ask_the_prometheus_that_the_reader_chose() -> None:
    assert panels()
    for panel in panels():
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    names = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "instance"}


def test_it_names_no_server() -> None:
    assert "http" not in json.dumps(DASHBOARD)
