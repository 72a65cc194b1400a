"""What is wrong with a configuration, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from squashproxy.config.document import Document, Path
from squashproxy.config.schema import known_keys

_SECRETS = frozenset({"password", "token"})
_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "tuple_type": "a list",
    "mapping_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "dataclass_type": "a mapping of keys to values",
    "dataclass_exact_type": "a mapping of keys to values",
}


def problems_of(error: ValidationError, document: Document) -> list[str]:
    """A sentence for each problem, with file and line, in the order of the file."""
    found = [_Problem(details, document) for details in error.errors(include_url=False)]
    found.sort(key=lambda problem: problem.line)
    return list(dict.fromkeys(problem.sentence for problem in found))


class _Problem:
    def __init__(self, details: ErrorDetails, document: Document) -> None:
        self._kind = details["type"]
        self._message = details["msg"]
        self._context: Mapping[str, Any] = details.get("ctx") or {}
        self._path = tuple(_real(details["loc"], document))
        self._document = document
        place = self._path[:-1] if self._kind == "missing" else self._path
        self._place = document.at(place)

    @property
    def line(self) -> int:
        """The line that it is on."""
        return int(self._place.rpartition(":")[2])

    @property
    def sentence(self) -> str:
        """What is wrong, where, and what to do."""
        return f"{self._place}: {self._what}"

    @property
    def _what(self) -> str:
        where = _dotted(self._path)
        if self._kind in ("unexpected_keyword_argument", "extra_forbidden"):
            return _unknown(self._path)
        if self._kind in ("missing", "missing_argument"):
            return f"{_dotted(self._path[:-1])} needs {self._path[-1]!r}; write it"
        if self._kind in ("squashproxy", "value_error"):
            return f"{where}: {self._message.removeprefix('Value error, ')}"
        if self._kind in ("enum", "literal_error"):
            return f"{where} is {self._shown}; write {self._context.get('expected')}"
        if self._kind in _EXPECTED:
            return f"{where} is {self._shown}; write {_EXPECTED[self._kind]}"
        rule = self._message.replace("Input should", "it should").replace("String", "it")
        return f"{where} is {self._shown}, but {rule[0].lower()}{rule[1:]}"

    @property
    def _shown(self) -> str:
        if self._path and self._path[-1] in _SECRETS:
            return "something else"
        value: Any = self._document.data
        for part in self._path:
            value = value[part]
        if isinstance(value, (dict, list)):
            return "a mapping" if isinstance(value, dict) else "a list"
        return "nothing" if value is None else repr(value)


def _real(loc: tuple[str | int, ...], document: Document) -> Iterator[str | int]:
    """The parts of a place that stand in the file; pydantic puts in names of its own."""
    value: Any = document.data
    for number, part in enumerate(loc):
        is_last = number == len(loc) - 1
        if isinstance(value, dict) and (part in value or is_last):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        yield part


def _unknown(path: Path) -> str:
    keys = known_keys(path[:-1])
    near = get_close_matches(str(path[-1]), keys, 1, 0.5)
    where = f" in {_dotted(path[:-1])}" if path[:-1] else ""
    advice = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(keys)}"
    return f"unknown key {path[-1]!r}{where}; {advice}"


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"
