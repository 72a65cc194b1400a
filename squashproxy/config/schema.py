"""The JSON Schema of the configuration, for editors, and for suggesting the key that was meant."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from squashproxy.config.configuration import Configuration

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def adapter() -> TypeAdapter[Configuration]:
    """The pydantic adapter that validates a configuration."""
    return TypeAdapter(Configuration)


@cache
def _shape() -> dict[str, Any]:
    return adapter().json_schema()


def configuration_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, draft 2020-12."""
    return {"$schema": _DIALECT, "title": "squashproxy configuration", **deepcopy(_shape())}


def known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that the mapping at a path may have."""
    schema = _shape()
    found = [schema]
    for part in path:
        found = [child for each in found for child in _children(each, part, schema)]
    return sorted({key for each in found for key in each.get("properties", {})})


def _children(schema: dict[str, Any], part: str | int, root: dict[str, Any]) -> Iterator[Any]:
    if isinstance(part, int):
        if isinstance(schema.get("items"), dict):
            yield from _forms(schema["items"], root)
    elif part in schema.get("properties", {}):
        yield from _forms(schema["properties"][part], root)
    else:
        others = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        for other in others:
            if isinstance(other, dict):
                yield from _forms(other, root)


def _forms(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema itself, or the alternatives that it stands for."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        for form in schema["anyOf"]:
            yield from _forms(form, root)
        return
    yield schema
