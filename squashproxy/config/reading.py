"""From a file to a Configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.configuration import Configuration, EngineKind
from squashproxy.config.document import Document, read_document
from squashproxy.config.forms import FOLDER, parse_host
from squashproxy.config.problems import problems_of
from squashproxy.config.promote import PromoteRule
from squashproxy.config.schema import adapter
from squashproxy.config.serve import ServeSettings
from squashproxy.errors import BadConfiguration, UsageError, reason_of

_MOST_BYTES = 1 << 20


def read_configuration(path: Path, environ: Mapping[str, str]) -> Configuration:
    """Read a file. Raises UsageError with a sentence a problem: FILE:LINE, what, what to do."""
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
        raise UsageError(f"{path} is not written in UTF-8; save it so") from error
    return parse_configuration(text, str(path), path.parent, environ)


def parse_configuration(
    text: str, name: str, folder: Path, environ: Mapping[str, str]
) -> Configuration:
    """Read a text; paths in it are relative to `folder`. Raises UsageError as above."""
    document = read_document(text, name, environ)
    if not isinstance(document.data, dict):
        raise UsageError(f"{name}:1: this is no mapping; begin with a section such as `serve:`")
    try:
        found = adapter().validate_json(json.dumps(document.data), context={FOLDER: str(folder)})
    except ValidationError as error:
        # Pydantic's own text quotes the values, of which one may be a password.
        raise BadConfiguration(*problems_of(error, document)) from None
    problems = list(_contradictions(found, document))
    if problems:
        raise BadConfiguration(*problems)
    return found


def _contradictions(found: Configuration, document: Document) -> Iterator[str]:
    """What only shows when several values are looked at."""
    yield from _twice(("registries",), document)
    yield from _twice(("serve", "upstreams"), document)
    yield from _strange_schedules(found, document)
    if found.engine.kind is EngineKind.CELERY and found.engine.broker is None:
        yield f"{document.at(('engine',))}: engine.kind is celery, which needs 'broker'; write it"
    serve = found.serve
    if serve is None:
        return
    there = " or ".join(sorted(serve.upstreams))
    for host, upstream in serve.upstreams.items():
        if (upstream.username is None) != (upstream.password is None):
            at = document.at(("serve", "upstreams", host))
            yield f"{at}: {host} has one of username and password; write both, or none"
    for number, listener in enumerate(serve.listen):
        if listener.upstream is not None and listener.upstream not in serve.upstreams:
            at = document.at(("serve", "listen", number))
            yield f"{at}: {listener.upstream} is not among the upstreams; write {there}"
    yield from _strange_images(serve, document, there)


def _twice(path: tuple[str, ...], document: Document) -> Iterator[str]:
    """Docker Hub has several names, of which the last would win."""
    hosts: Any = document.data
    for part in path:
        hosts = (hosts or {}).get(part)
    seen: dict[str, str] = {}
    for key in hosts or {}:
        other = seen.setdefault(parse_host(key), key)
        if other != key:
            yield f"{document.at((*path, key))}: {key} is {other} again; leave one of them out"


def _strange_schedules(found: Configuration, document: Document) -> Iterator[str]:
    sections: tuple[tuple[str, Sequence[PromoteRule | CleanupRule]], ...] = (
        ("promote", found.promote),
        ("cleanup", found.cleanup),
    )
    for section, rules in sections:
        for number, rule in enumerate(rules):
            if rule.schedule is not None and rule.every is not None:
                at = document.at((section, number))
                yield f"{at}: {rule.name} has both schedule and every; write one of them"


def _strange_images(serve: ServeSettings, document: Document, there: str) -> Iterator[str]:
    for number, image in enumerate(serve.warm.images):
        if image.repository.host not in serve.upstreams:
            at = document.at(("serve", "warm", "images", number))
            host = image.repository.host
            yield f"{at}: {image} is of {host}, which is not among the upstreams; write {there}"
