"""Values as JSON that another process reads: written in one form, and read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from squashproxy.errors import FormatError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Value = TypeVar("_Value", bound="DataclassInstance")

Form = Mapping[str, Any]
"""A JSON object."""


def to_form(value: DataclassInstance) -> dict[str, Any]:
    """A dataclass of plain values as a JSON object."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(value)))
    return found


def read_form(kind: type[_Value], form: Form, what: str) -> _Value:
    """The inverse of `to_form`; `what` names the object in the message.

    Raises FormatError for anything but what `to_form` writes: a missing key, one too many, a value
    of another type.
    """
    try:
        value: _Value = _adapter(kind).validate_json(json.dumps(form), strict=True)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise FormatError(f"{what} is malformed: {where} is wrong") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{what} is malformed: it is no JSON") from error
    if to_form(value) != form:
        raise FormatError(f"{what} is malformed: it holds more than it may")
    return value


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
