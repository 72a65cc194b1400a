"""The JSON Schema of the configuration, for editors."""

from __future__ import annotations

import pytest
import yaml
from jsonschema import Draft202012Validator

from squashproxy.config.schema import configuration_schema, known_keys
from tests.config.test_read import BRIEF, LEAST, PROBLEMS, WHOLE
from tests.real.serving import DEPLOY

SHAPES = (
    "an unknown key", "an unknown section", "a key below a host", "a key of a rule", "no upstreams",
    "a number for a duration", "a word for true", "a wrong word", "a list for a mapping",
    "another engine",
)  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = configuration_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    "text", [LEAST, WHOLE, BRIEF, (DEPLOY / "serve" / "squashproxy.yml").read_text()]
)
def test_it_takes_what_is_valid(validator: Draft202012Validator, text: str) -> None:
    validator.validate(yaml.safe_load(text))


@pytest.mark.parametrize("name", SHAPES)
def test_it_refuses_what_is_not(validator: Draft202012Validator, name: str) -> None:
    document = yaml.safe_load(PROBLEMS[name][0])
    assert not validator.is_valid(document)


def test_keys_are_found_by_their_place() -> None:
    assert known_keys(()) == [
        "cleanup", "engine", "layer_memory", "limits", "promote", "registries", "serve", "state",
    ]  # fmt: skip
    assert known_keys(("serve", "upstreams", "docker.io")) == [
        "password", "stale", "url", "username",
    ]  # fmt: skip
    assert known_keys(("serve", "rules", 3)) == [
        "base", "compression", "match", "max_layer_size", "mode", "platforms", "prune_over",
        "require_signature", "signed_as", "squash",
    ]  # fmt: skip
    assert known_keys(("nowhere", 1)) == []
