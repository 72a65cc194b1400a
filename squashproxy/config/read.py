"""Reading a configuration from a file or a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from squashproxy.config.configuration import Configuration
from squashproxy.config.contradictions import contradictions_of
from squashproxy.config.document import Document, merge_documents, read_document
from squashproxy.config.problems import problems_of
from squashproxy.config.schema import adapter
from squashproxy.config.value_types import FOLDER
from squashproxy.errors import BadConfiguration, UsageError, reason_of

_MOST_BYTES = 1 << 20


def read_configuration(path: Path, environ: Mapping[str, str]) -> Configuration:
    """Read a file, or all `.yml` and `.yaml` files of a folder as one configuration.

    Raises BadConfiguration with a sentence for each problem: FILE:LINE, what, what to do.
    """
    if not path.is_dir():
        return _checked(read_document(_text(path), str(path), environ, path.parent), path.parent)
    files = sorted(file for file in path.iterdir() if file.suffix in (".yml", ".yaml"))
    if not files:
        raise UsageError(f"{path} is a folder without any .yml file", advice="put one there")
    documents = [read_document(_text(file), str(file), environ, path) for file in files]
    for document in documents:
        _check_mapping(document)
    return _checked(merge_documents(str(path), documents), path)


def parse_configuration(
    text: str, name: str, folder: Path, environ: Mapping[str, str]
) -> Configuration:
    """Parse a text; relative paths in it begin at `folder`. Raises BadConfiguration as above."""
    return _checked(read_document(text, name, environ, folder), folder)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path} has more than {_MOST_BYTES} bytes; that is no configuration")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not written in UTF-8", advice="save it so") from error
    return text


def _check_mapping(document: Document) -> None:
    if not isinstance(document.data, dict):
        raise UsageError(
            f"{document.name}:1: this is no mapping", advice="begin with a section such as `serve:`"
        )


def _checked(document: Document, folder: Path) -> Configuration:
    _check_mapping(document)
    try:
        found = adapter().validate_json(json.dumps(document.data), context={FOLDER: str(folder)})
    except ValidationError as error:
        # Pydantic's own text quotes the values, of which one may be a password.
        raise BadConfiguration(*problems_of(error, document)) from None
    problems = list(contradictions_of(found, document))
    if problems:
        raise BadConfiguration(*problems)
    return found
