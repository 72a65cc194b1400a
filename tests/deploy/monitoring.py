"""Alert rules and the dashboard, as tests read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FILES = Path(__file__).parents[2] / "deploy" / "helm" / "squashproxy" / "files"
ALERT_FILE = FILES / "alerts.yml"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERT_FILE.read_text())["groups"]
    for rule in group["rules"]
}
DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())

_VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}
_SELECTOR = re.compile(r"\b(squashproxy_\w+)(?:\{([^}]*)\})?")


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """The title of each panel with each of its queries, Grafana's variables filled in."""
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in _VARIABLES.items():
                query = query.replace(name, value)
            yield panel["title"], query


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of alerts and dashboard, with what it is of."""
    for name, rule in ALERTS.items():
        yield name, rule["expr"]
    yield from queries()


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The series that an expression names, with the names of the labels in their braces."""
    for name, labels in _SELECTOR.findall(expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", labels))
