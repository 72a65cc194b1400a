"""Values with several forms: the form is chosen first, so that errors are about the form meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationInfo, WrapValidator
from pydantic_core import PydanticCustomError

T = TypeVar("T")


def by_key(classes: Mapping[str, type]) -> WrapValidator:
    """A mapping that has one of these keys, which decides its class."""

    def read(value: Any, _: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            raise _wrong(f"this is no mapping; write one with {_either(classes, 'or')}")
        found = [key for key in classes if key in value] or _meant(value, classes)
        if len(found) != 1:
            many = "more than one of" if found else "none of"
            raise _wrong(f"there is {many} {_either(classes, 'and')}; write one")
        return validated(classes[found[0]], value, info)

    return WrapValidator(read)


def named(words: Mapping[str, Any], classes: Mapping[str, type]) -> WrapValidator:
    """One of these words, or a mapping that has one of these keys."""

    def read(value: Any, _: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value in words:
            return words[value]
        if isinstance(value, dict):
            found = [key for key in classes if key in value] or _meant(value, classes)
            if len(found) == 1:
                return validated(classes[found[0]], value, info)
        keys = ", ".join(f"{{{key}: ...}}" for key in classes)
        raise _wrong(f"this is neither {' nor '.join(words)} nor {keys}; write one of these")

    return WrapValidator(read)


def one_or_more(value: Any) -> tuple[Any, ...]:
    """The items of a list, or a single item."""
    items = tuple(value) if isinstance(value, list) else (value,)
    if not items:
        raise _wrong("this list is empty; write HOST:PORT")
    return items


def validated(kind: type[T], value: Any, info: ValidationInfo) -> T:
    """The value as an object of that class; its problems become problems of the whole
    configuration.
    """
    return TypeAdapter(kind).validate_json(json.dumps(value), context=info.context)


def _meant(value: Mapping[str, Any], classes: Mapping[str, type]) -> list[str]:
    """The class whose key is nearly the one written, so that the message names the right key."""
    near = [match for key in value for match in get_close_matches(key, classes, 1)]
    return list(dict.fromkeys(near))


def _either(choices: Mapping[str, Any], word: str) -> str:
    return f" {word} ".join(repr(choice) for choice in choices)


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("squashproxy", "{sentence}", {"sentence": sentence})
