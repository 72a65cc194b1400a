"""What a value in the file may be, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from squashproxy.config.values import parse_duration, parse_rate, parse_size
from squashproxy.errors import SquashproxyError
from squashproxy.location import ArchiveReference
from squashproxy.oci.platform import Platform, parse_platform
from squashproxy.pipeline.options import (
    BaseChoice,
    CompressionChoice,
    parse_base,
    parse_compression,
)
from squashproxy.reference import Reference, Repository, parse_reference, parse_repository

T = TypeVar("T")
_CRON = re.compile(r"[0-9A-Za-z*/,-]+")
_CRON_FIELDS = 5

FOLDER = "folder"
"""The key of the validation context under which the file's own folder stands."""


def _reads(parse: Callable[[str], T]) -> PlainValidator:
    """A validator that reads a text, or a number as if it were one."""

    def read(value: Any) -> T:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"{_kind(value)} cannot stand here; write a text")  # noqa: TRY004 - pydantic wants this one
        try:
            return parse(str(value))
        except SquashproxyError as error:
            raise ValueError(str(error)) from error

    return PlainValidator(read)


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "that")


def _parse_base(text: str) -> BaseChoice:
    found = parse_base(text)
    if isinstance(found.image, ArchiveReference):
        raise ValueError(f"{text!r}: a base is an image in a registry here")  # noqa: TRY004 - as above
    return found


def parse_host(text: str) -> str:
    """Read a host as references name it; raise ValueError."""
    try:
        return _host(text)
    except SquashproxyError as error:
        raise ValueError(f"{text!r} is no host; write HOST or HOST:PORT") from error


def _host(text: str) -> str:
    return parse_repository(f"{text}/x").host if "/" not in text else parse_repository(text).host


def _parse_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no URL; write https://HOST or http://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{text!r} holds more than scheme, host and port; write these alone")
    return f"{parts.scheme}://{parts.netloc}"


def _parse_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != _CRON_FIELDS or not all(_CRON.fullmatch(field) for field in fields):
        raise ValueError(f"{text!r} is no schedule; write five fields as cron has them: 0 3 * * *")
    return " ".join(fields)


def _in_folder(value: Any, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError("this is no path; write one, relative to the folder of this file")
    context = info.context or {}
    return Path(context.get(FOLDER, ".")) / value


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Duration = Annotated[
    float, _reads(parse_duration), _text(r"^[0-9.]+(ms|s|m|h|d)$", "25s", "10m", "1h", "7d")
]
Size = Annotated[
    int,
    _reads(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["500M", "50GiB"]}),
]
Rate = Annotated[float, _reads(parse_rate), _text(r"^[0-9.]+/(s|m|h)$", "50/s", "100/m")]
Cron = Annotated[str, _reads(_parse_cron), _text(r"^\S+( \S+){4}$", "*/15 * * * *")]
Base = Annotated[
    BaseChoice,
    _reads(_parse_base),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["auto", "none", 1]}),
]
OnePlatform = Annotated[
    Platform, _reads(parse_platform), _text("^[a-z0-9]+/[a-z0-9]+", "linux/amd64")
]
Compressing = Annotated[
    CompressionChoice,
    _reads(parse_compression),
    _text("^(keep|gzip|zstd(:[0-9]+)?)$", "keep", "zstd:9"),
]
Image = Annotated[Reference, _reads(parse_reference), _text(".", "docker.io/library/debian:12")]
RepositoryName = Annotated[
    Repository, _reads(parse_repository), _text("/", "registry.example.com/cache")
]
Host = Annotated[str, _reads(parse_host), _text(".", "docker.io", "registry.example.com:5000")]
Url = Annotated[str, _reads(_parse_url), _text("^https?://", "https://registry-1.docker.io")]
FileName = Annotated[
    Path, PlainValidator(_in_folder), WithJsonSchema({"type": "string", "examples": ["ca.pem"]})
]
