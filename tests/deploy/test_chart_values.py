"""The chart's values: each has a type and a default, and a mistyped one is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

import squashproxy
from tests.deploy.chart import CASES, CHART

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

REFUSED: dict[str, dict[str, Any]] = {
    "a key that is mistyped": {"serve": {"replica": 3}},
    "a section that is mistyped": {"workers": {"enabled": True}},
    "text for a number": {"serve": {"replicas": "three"}},
    "a digest without its algorithm": {"image": {"digest": "4bc453b5"}},
    "a digest that is too short": {"image": {"digest": "sha256:4bc453b5"}},
    "a queue that does not exist": {"worker": {"queues": ["fast"]}},
    "a size that is none": {"persistence": {"size": "much"}},
    "a policy that does not exist": {"persistence": {"resourcePolicy": "delete"}},
    "a type of Service without a port": {"service": {"type": "ExternalName"}},
    "a port that is none": {"networkPolicy": {"egressPorts": [70000]}},
    "a label that is a number": {"podLabels": {"version": 1}},
    "an environment as a mapping": {"extraEnv": {"HTTPS_PROXY": "http://proxy.example.com"}},
    "the configuration as text": {"config": "serve: {}"},
    "a tag with a space": {"image": {"tag": "1.0 beta"}},
    "a share of pods in words": {"worker": {"podDisruptionBudget": {"maxUnavailable": "half"}}},
    "a number of pods as text": {"worker": {"podDisruptionBudget": {"minAvailable": "1"}}},
    "a schedule in words": {"cronJobs": {"promote": {"schedule": "every day"}}},
    "a pause without its unit": {"metrics": {"serviceMonitor": {"interval": "30"}}},
    "a time-out in words": {"httpRoute": {"timeouts": {"request": "5 minutes"}}},
    "no repository": {"image": {"repository": ""}},
}


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_defaults_have_their_types() -> None:
    VALIDATOR.validate(VALUES)


@pytest.mark.parametrize("case", CASES)
def test_the_values_of_a_case_are_allowed(case: str) -> None:
    # To helm a null is a key that is left out.
    VALIDATOR.validate({key: value for key, value in CASES[case].items() if value is not None})


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused(values: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(values)


def test_every_key_of_the_schema_has_a_default_and_no_default_is_unknown() -> None:
    optional = {
        "global": "helm's own",
        "minAvailable": "stands in for maxUnavailable",
        "claims": "of resources, which few clusters have",
        "initialDelaySeconds": "a startup probe is better",
        "successThreshold": "1 in Kubernetes, too",
        "requests": "of timeouts",
    }
    known, written = set(_keys_of_schema(SCHEMA)), set(_keys(VALUES))
    assert {key for key in known - written if key.rpartition(".")[2] not in optional} <= {
        "httpRoute.timeouts.request",
        "httpRoute.timeouts.backendRequest",
    }


def test_versions_are_those_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == squashproxy.__version__


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    found: dict[str, Any] = SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else schema
    return found


def _keys_of_schema(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, each in _resolved(schema).get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from _keys_of_schema(each, f"{prefix}{name}.")


def _keys(values: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(values, dict):
        for name, each in values.items():
            yield f"{prefix}{name}"
            yield from _keys(each, f"{prefix}{name}.")
