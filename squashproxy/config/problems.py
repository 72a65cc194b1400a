"""The problems of a configuration as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from squashproxy.config.document import Document, Path
from squashproxy.config.schema import known_keys
from squashproxy.printable import masked

_SECRETS = frozenset({"password", "token", "hook", "broker"})
_MOST_SHOWN = 60
_EXPECTED = {
    "enum": "{expected}",
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
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "string_too_short": "a text that is not empty",
    "too_short": "at least one",
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
        return f"{where} is {self._shown}; {self._advice}"

    @property
    def _advice(self) -> str:
        if self._kind not in _EXPECTED:
            return "`squashproxy config schema` says what can stand here"
        return f"write {_EXPECTED[self._kind].format(**self._context)}"

    @property
    def _shown(self) -> str:
        if self._path and self._path[-1] in _SECRETS:
            return "something else"
        value: Any = self._document.data
        for part in self._path:
            value = value[part]
        if isinstance(value, (dict, list)):
            kind = "mapping" if isinstance(value, dict) else "list"
            return f"a {kind}" if value else f"an empty {kind}"
        if value is None or isinstance(value, bool):
            return {None: "nothing", True: "true", False: "false"}[value]
        text = repr(masked(value) if isinstance(value, str) else value)
        return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _real(loc: tuple[str | int, ...], document: Document) -> Iterator[str | int]:
    """The parts of a place that stand in the file; pydantic puts in names of its own."""
    value: Any = document.data
    for number, part in enumerate(loc):
        is_last = number == len(loc) - 1
        if isinstance(value, dict) and (part in value or (is_last and part != "[key]")):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        yield part


def _unknown(path: Path) -> str:
    keys = known_keys(path[:-1])
    if path[-1] in keys:
        return f"{_dotted(path)} does not go with what stands beside it; leave it out"
    near = get_close_matches(str(path[-1]), keys, 1, 0.5)
    where = f" in {_dotted(path[:-1])}" if path[:-1] else ""
    advice = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(keys)}"
    return f"unknown key {masked(str(path[-1]))!r}{where}; {advice}"


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
            continue
        shown = masked(part)
        word = shown if shown.isprintable() and shown else repr(shown)
        text += f".{word}" if text else word
    return text or "the file"
