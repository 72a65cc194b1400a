"""YAML as plain data, with the place of each part in its file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from squashproxy.config.value_file import read_value
from squashproxy.errors import UsageError, reason_of

Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:file:([^}]+)\}|([A-Za-z_][A-Za-z0-9_]*)\})?")
_MOST_DEPTH = 32
_NO_ALIASES = "aliases (*NAME) are not read here; write it out again"
_TOO_DEEP = "this is nested too deeply; nothing here needs that"
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")
)


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one file or several; `places` maps keys and items to `FILE:LINE`."""

    name: str
    data: Any
    places: Mapping[Path, str]

    def at(self, path: Path) -> str:
        """The `FILE:LINE` of a part, or of the nearest part around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, f"{self.name}:1")


def merge_documents(name: str, documents: Sequence[Document]) -> Document:
    """Merge documents: mappings are joined, lists are appended.

    Raises UsageError for a value that stands in two of them.
    """
    merged = documents[0]
    for other in documents[1:]:
        merger = _Merger(merged, other)
        data = merger.merge(merged.data, other.data, ())
        merged = Document(name, data, {**merger.places, **merged.places})
    return merged


class _Merger:
    def __init__(self, first: Document, second: Document) -> None:
        self._first = first
        self._second = second
        self.places: dict[Path, str] = dict(second.places)

    def merge(self, one: Any, other: Any, path: Path) -> Any:
        if isinstance(one, dict) and isinstance(other, dict):
            both = {
                key: self.merge(one[key], other[key], (*path, key)) for key in one if key in other
            }
            return {**one, **other, **both}
        if isinstance(one, list) and isinstance(other, list):
            self._move(path, len(one))
            return [*one, *other]
        where = ".".join(map(str, path)) or "a value"
        raise UsageError(
            f"{self._second.at(path)}: {where} stands in {self._first.at(path)} too",
            advice="leave one of them out",
        )

    def _move(self, path: Path, offset: int) -> None:
        """Move the places of a list's items, which come after those of the first file."""
        depth = len(path)
        items = [place for place in self.places if len(place) > depth and place[:depth] == path]
        moved = {place: self.places.pop(place) for place in items}
        for place, at in moved.items():
            number = place[depth]
            assert isinstance(number, int), "items of a list have numbers"
            self.places[(*path, number + offset, *place[depth + 1 :])] = at


def read_document(
    text: str, name: str, environ: Mapping[str, str], folder: FilePath = FilePath()
) -> Document:
    """Read YAML. `${NAME}` in a value is replaced from `environ`, `$${` by `${`.

    `${file:PATH}` is replaced by the contents of a file without its line end; relative paths begin
    at `folder`.

    Raises UsageError, with file and line, for invalid YAML, duplicate keys, aliases (a small file
    could become huge), and variables that are not set.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise UsageError(
                f"{name}:1: the file is empty", advice="write a section such as `serve:`"
            )
        reader = _Reader(loader, name, environ, folder)
        data = reader.read(node, ())
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the file, where a password may stand.
        raise UsageError(f"{name}:{_line_of(error)}: {_what(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(
            f"{name}:{line}: this is no YAML: U+{error.character:04X} may not stand in it",
            advice="remove that character",
        ) from error
    except RecursionError as error:
        raise UsageError(f"{name}:1: {_TOO_DEEP}") from error
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        raise UsageError(
            f"{name}:1: this is no YAML", advice="look for a character after \\"
        ) from error
    finally:
        if loader is not None:
            loader.dispose()
    places = {path: f"{name}:{line}" for path, line in reader.lines.items()}
    return Document(name, data, places)


class _Reader:
    def __init__(
        self, loader: yaml.SafeLoader, name: str, environ: Mapping[str, str], folder: FilePath
    ) -> None:
        self._loader = loader
        self._name = name
        self._environ = environ
        self._folder = folder
        self._seen: set[int] = set()
        self.lines: dict[Path, int] = {}

    def read(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if id(node) in self._seen:
            raise self._wrong(line, _NO_ALIASES)
        self._seen.add(id(node))
        if len(path) > _MOST_DEPTH:
            raise self._wrong(line, _TOO_DEEP)
        if node.tag not in _PLAIN_TAGS:
            raise self._wrong(line, f"{node.tag} is not read here; write plain values")
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, at)) for at, item in enumerate(node.value)]
        return self._scalar(node, line)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        keys: set[str] = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._wrong(line, "a key is a word here; write KEY: VALUE")
            key = self._checked(str(key_node.value), line)
            if key in keys:
                raise self._wrong(line, f"{key!r} stands here twice; leave one of them out")
            keys.add(key)
            self.lines[(*path, key)] = line
            yield key, self.read(value_node, (*path, key))

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return str(node.value)
        try:
            value = self._loader.construct_object(node)
        except (ValueError, LookupError, ArithmeticError):
            # The cause would quote the value, which may be a password.
            raise self._wrong(line, "this value cannot be read; write it in quotes") from None
        if not isinstance(value, str):
            return value
        return self._checked(self._expand(value, line), line)

    def _checked(self, text: str, line: int) -> str:
        """The text, if it can be encoded as UTF-8: half a surrogate pair cannot."""
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self._wrong(line, "this is no text in UTF-8; write it without surrogates")
        return text

    def _expand(self, text: str, line: int) -> str:
        def replaced(match: re.Match[str]) -> str:
            file, name = match.groups()
            if match[0] == "$${":
                return "${"
            if file is not None:
                return self._content(file, line)
            if name is None:
                raise self._wrong(line, "${ begins no ${NAME} here; write $${ for a plain ${")
            if name not in self._environ:
                raise self._wrong(line, f"${{{name}}} is not set in the environment; set it")
            return self._environ[name]

        return _VARIABLE.sub(replaced, text)

    def _content(self, file: str, line: int) -> str:
        path = self._folder / file
        try:
            return read_value(path)
        except OSError as error:
            raise self._wrong(line, f"{path} cannot be read: {reason_of(error)}") from error
        except ValueError as error:
            raise self._wrong(line, f"{path} cannot be read: {error}") from None

    def _wrong(self, line: int, sentence: str) -> UsageError:
        return UsageError(f"{self._name}:{line}: {sentence}")


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return 1 if mark is None else mark.line + 1


def _column_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return 1 if mark is None else mark.column + 1


def _what(error: yaml.MarkedYAMLError) -> str:
    if "expected a single document" in str(error.context or error.problem or ""):
        return "another document begins here; a configuration is one"
    if "alias" in str(error.problem or ""):
        return _NO_ALIASES
    advice = (
        "indent with blanks" if "'\\t'" in str(error.problem) else "mend or quote what is there"
    )
    return (
        f"this is no YAML at column {_column_of(error)}: {error.problem or error.context}; {advice}"
    )
