"""Values that have several forms; which one it is, is decided before it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationInfo, WrapValidator
from pydantic_core import PydanticCustomError

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:/\s]*):(?P<port>[0-9]{1,5})")
_MOST_PORT = 65535


def by_key(classes: Mapping[str, type]) -> WrapValidator:
    """A mapping that has one of these keys; it says which class it is."""

    def read(value: Any, _: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            raise _wrong(f"this is no mapping; write one with {_either(classes)}")
        found = [key for key in classes if key in value]
        if len(found) != 1:
            many = "more than one of" if found else "none of"
            raise _wrong(f"there is {many} {_either(classes)}; write one")
        return _validate(classes[found[0]], value, info)

    return WrapValidator(read)


def named(words: Mapping[str, Any], classes: Mapping[str, type]) -> WrapValidator:
    """One of these words, or a mapping that has one of these keys."""

    def read(value: Any, _: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value in words:
            return words[value]
        if isinstance(value, dict) and len(found := [key for key in classes if key in value]) == 1:
            return _validate(classes[found[0]], value, info)
        keys = ", ".join(f"{{{key}: ...}}" for key in classes)
        raise _wrong(f"this is neither {' nor '.join(words)} nor {keys}; write one of these")

    return WrapValidator(read)


def one_or_more(value: Any) -> list[Any]:
    """The items of a list, or the only one."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise _wrong("this list is empty; write HOST:PORT")
    return items


def read_address(value: Any) -> tuple[str, int, str | None]:
    """Host, port and upstream of `HOST:PORT` or {address, upstream}."""
    form = {"address": value} if isinstance(value, str) else value
    if not isinstance(form, dict) or not set(form) <= {"address", "upstream"}:
        raise _wrong("this is no address; write HOST:PORT, or {address: HOST:PORT, upstream: HOST}")
    match = _ADDRESS.fullmatch(str(form.get("address")))
    if match is None or int(match["port"]) > _MOST_PORT:
        raise _wrong(
            f"{form.get('address')!r} is no address; write HOST:PORT, as in 127.0.0.1:5000"
        )
    host = match["host"] or "0.0.0.0"  # noqa: S104 - as `:5000` means everywhere
    return host, int(match["port"]), form.get("upstream")


def _validate(kind: type, value: Any, info: ValidationInfo) -> Any:
    return TypeAdapter(kind).validate_json(json.dumps(value), context=info.context)


def _either(choices: Mapping[str, Any]) -> str:
    return " and ".join(repr(choice) for choice in choices)


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("squashproxy", "{sentence}", {"sentence": sentence})
