"""The alert rules fire when they should, and stay silent when they should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.alert_cases import CASES
from tests.deploy.monitoring import ALERT_FILE, ALERTS, queries
from tests.documents.markdown import documents

GUIDE = "deploy/README.md"


def _promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("firing", [0, 1], ids=["silent", "firing"])
def test_each_alert_has_a_story_in_which_it_is(firing: int) -> None:
    told = {case.alert for case in CASES.values() if case.firing == firing}
    assert told == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"{GUIDE}#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_its_section_in_the_guide(name: str) -> None:
    text = documents()[GUIDE].text
    assert name.lower() in documents()[GUIDE].anchors
    section = text.partition(f"### {name}\n")[2].partition("\n#")[0]
    assert "**Means**" in section
    assert "**Do**" in section


def test_the_guide_has_a_section_for_no_other_alert() -> None:
    anchors = documents()[GUIDE].anchors
    named = {anchor for anchor in anchors if anchor.startswith("squashproxy") and "-" not in anchor}
    assert named == {name.lower() for name in ALERTS}


@pytest.mark.real
def test_prometheus_accepts_the_rules() -> None:
    assert f"{len(ALERTS)} rules found" in _promtool("check", "rules", ALERT_FILE)


@pytest.mark.real
def test_alerts_fire_in_their_stories_and_no_others(tmp_path: Path) -> None:
    """One run of promtool for all: it takes longer to start than to judge."""
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [
                {"series": series, "values": values} for series, values in case.series.items()
            ],
            "promql_expr_test": [
                {
                    "expr": (
                        f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}}) '
                        "or vector(0)"
                    ),
                    "eval_time": f"{case.minutes}m",
                    "exp_samples": [{"labels": "{}", "value": case.firing}],
                }
            ],
        }
        for name, case in CASES.items()
    ]
    path = tmp_path / "stories.yml"
    path.write_text(
        yaml.safe_dump(
            {"rule_files": [str(ALERT_FILE)], "evaluation_interval": "1m", "tests": tests}
        )
    )
    assert "SUCCESS" in _promtool("test", "rules", path)


@pytest.mark.real
def test_an_alert_reads_as_a_sentence(tmp_path: Path) -> None:
    story = {
        "interval": "1m",
        "input_series": [
            {"series": 'squashproxy_requests_total{outcome="500"}', "values": "0+1x40"},
            {"series": 'squashproxy_requests_total{outcome="cached"}', "values": "0+9x40"},
        ],
        "alert_rule_test": [
            {
                "eval_time": "30m",
                "alertname": "SquashproxyErrors",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical"},
                        "exp_annotations": {
                            **ALERTS["SquashproxyErrors"]["annotations"],
                            "summary": "10% of requests fail",
                        },
                    }
                ],
            }
        ],
    }
    path = tmp_path / "story.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERT_FILE)], "tests": [story]}))
    assert "SUCCESS" in _promtool("test", "rules", path)


@pytest.mark.real
def test_prometheus_accepts_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:{number}", "expr": query}
        for number, (_, query) in enumerate(queries())
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in _promtool("check", "rules", path)
