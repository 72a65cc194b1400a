"""The types of values in the file, and how they are parsed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from squashproxy.config.values import parse_duration, parse_rate, parse_size
from squashproxy.decimals import MOST_PORT, parse_port
from squashproxy.errors import UsageError
from squashproxy.layer_memory.choice import LayerMemoryChoice, parse_layer_memory
from squashproxy.location import ArchiveReference
from squashproxy.oci.platform import Platform, parse_platform
from squashproxy.pipeline.backup import fill_tag
from squashproxy.pipeline.mode import (
    Mode,
    PruneThreshold,
    parse_mode,
    parse_prune_threshold,
)
from squashproxy.pipeline.options import (
    BaseChoice,
    CompressionChoice,
    parse_base,
    parse_compression,
)
from squashproxy.reference import (
    Reference,
    Repository,
    check_tag,
    looks_like_host,
    parse_host,
    parse_reference,
    parse_repository,
)
from squashproxy.registry.http.urls import BadUrl, read_url
from squashproxy.rules.expressions import Expression as Grouping
from squashproxy.rules.patterns import Pattern, parse_glob, parse_grouping, parse_pattern
from squashproxy.rules.repository_patterns import RepositoryPattern, parse_repository_pattern
from squashproxy.rules.timetable import parse_cron, parse_zone
from squashproxy.rules.version_ranges import VersionRange, parse_range

T = TypeVar("T")
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:/\s]*):(?P<port>[0-9]{1,5})")
_URL = re.compile(r"https?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LONGEST_WAIT = 600.0
_MOST_CHARACTERS = 1024
_SOME_TAG = "some-tag"
_LONGEST_HOST = 253

FOLDER = "folder"
"""The key of pydantic's validation context that holds the folder of the file."""


def reads(parse: Callable[[str], T], *kinds: type) -> PlainValidator:
    """A validator that parses a text; a value of one of the `kinds` is turned into text first.

    `parse` raises ValueError, whose text follows the file, the line and the key.
    """

    def read(value: Any) -> T:
        if type(value) not in (str, *kinds):
            raise ValueError(f"{_kind(value)} cannot stand here; write a text")
        text = str(value)
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"this has {len(text)} characters; write what is meant")
        return parse(text)

    return PlainValidator(read)


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value)) or repr(value)


def _parse_base(text: str) -> BaseChoice:
    found = parse_base(text)
    if isinstance(found.image, ArchiveReference):
        raise ValueError(f"{text!r}: a base is an image in a registry here")  # noqa: TRY004 - as above
    return found


def parse_named_host(text: str) -> str:
    """Parse a host that references can name. Raises ValueError."""
    host = parse_host(text)
    if not looks_like_host(text):
        raise ValueError(
            f"{text!r} is no host as references have them; write HOST or HOST:PORT, and a name "
            "without a dot with its port"
        )
    return host


def parse_address(text: str) -> tuple[str, int]:
    """Parse `HOST:PORT`; an empty host means every address of this machine. Raises ValueError."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > MOST_PORT:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, as in 127.0.0.1:5000")
    return match["host"] or "0.0.0.0", int(match["port"])  # noqa: S104 - as `:5000` means everywhere


def _check_port(text: str) -> None:
    """Raise ValueError where the part after the last colon is not a port."""
    _, colon, port = text.rpartition("]")[2].rpartition(":")
    if colon and port.isdecimal() and parse_port(port) is None:
        raise ValueError(f"{port} is no port; write one from 1 to {MOST_PORT}")


def _parse_url(text: str) -> str:
    """Parse a URL. No message quotes the text, which may hold a password."""
    match = _URL.match(text)
    if match is None:
        raise ValueError("this is no URL; write https://HOST or http://HOST:PORT")
    if text[match.end() :] not in ("", "/"):
        raise ValueError("this holds more than scheme, host and port; write these alone")
    _check_port(match[0])
    _check_url(match[0])
    return match[0]


def _check_url(text: str) -> None:
    try:
        read_url("", text)
    except BadUrl as error:
        raise ValueError(f"this is no URL that can be asked: {error}; mend it") from error


def _parse_pin(text: str) -> Reference:
    found = parse_reference(text)
    if found.digest is None or found.tag is not None:
        raise ValueError(f"{text!r} is not pinned; write HOST/REPO@sha256:DIGEST")
    return found


def one_image_once(value: Any) -> Any:
    """Join the tags of an image that a mapping names in several ways (`docker.io` written or not).

    Otherwise each would be a key of its own, of which the last would win.
    """
    if not isinstance(value, dict):
        return value
    first: dict[object, str] = {}
    merged: dict[str, Any] = {}
    for key, listed in value.items():
        tags = tuple(listed) if isinstance(listed, list) else listed
        try:
            image: object = _parse_pin(key)
        except ValueError:
            image = key
        known = first.setdefault(image, key)
        if known in merged and isinstance(merged[known], tuple) and isinstance(tags, tuple):
            merged[known] += tags
        else:
            merged[key] = tags
    return merged


def _parse_tag_template(text: str) -> str:
    try:
        fill_tag(text, _SOME_TAG, None)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


def _parse_tag(text: str) -> str:
    check_tag(text)
    return text


def _parse_glob(text: str) -> str:
    """Check that a text is a valid glob, and return it."""
    return parse_glob(text).text


def _parse_web_address(text: str) -> str:
    """Parse a web address. No message quotes the text, which may hold a token."""
    if _URL.match(text) is None or not text.isprintable() or " " in text:
        raise ValueError("this is no address; write https://HOST/PATH")
    if not text.isascii():
        raise ValueError("this address is not written in ASCII; write %XX for what is not")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("this is no address; write https://HOST[:PORT]/PATH") from None
    labels = host.removesuffix(".").split(".")
    if port == 0 or len(host) > _LONGEST_HOST or not all(0 < len(each) < 64 for each in labels):
        raise ValueError("this address has no host that there can be; write https://HOST/PATH")
    return text


def _check_token(text: str) -> str:
    """Check a token. No message quotes it."""
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError(
            "this cannot be sent in a header; write one line of ASCII, without blanks around it"
        )
    return text


def _check_argument(text: str) -> str:
    if "\0" in text:
        raise ValueError("this holds a NUL, which no argument of a command can; leave it out")
    return text


def in_folder(value: Any, info: ValidationInfo) -> Path:
    """A path, relative to the folder of the configuration. Raises ValueError."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("this is no path; write one, relative to the folder of this file")
    context = info.context or {}
    return Path(context.get(FOLDER, ".")) / value


def _read_layer_memory(value: Any, info: ValidationInfo) -> LayerMemoryChoice:
    if not isinstance(value, str):
        raise ValueError(f"{_kind(value)} cannot stand here; write a folder, HOST/REPO or none")  # noqa: TRY004 - pydantic expects it
    choice = parse_layer_memory(value)
    if choice.folder is None:
        return choice
    return LayerMemoryChoice(folder=in_folder(str(choice.folder.expanduser()), info))


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no network; write an address, or one as 10.0.0.0/8"
        ) from None


def _short(seconds: float) -> float:
    if seconds > _LONGEST_WAIT:
        raise ValueError("no client waits that long; write 10m or less")
    return seconds


def _some_time(seconds: float) -> float:
    if not seconds:
        raise ValueError("this would never rest; write more than 0s")
    return seconds


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Duration = Annotated[
    float,
    reads(parse_duration, int, float),
    _text(r"^[0-9.]+(ms|s|m|h|d)$", "25s", "10m", "1h", "7d"),
]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    reads(_parse_network),
    _text("^[0-9a-fA-F.:]+(/[0-9]+)?$", "10.0.0.0/8", "127.0.0.1"),
]
Wait = Annotated[Duration, AfterValidator(_short)]
Interval = Annotated[Duration, AfterValidator(_some_time)]
Size = Annotated[
    int,
    reads(parse_size, int),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["500M", "50GiB"]}),
]
_NO_LIMIT = BeforeValidator(lambda value: None if value == "none" else value)
SizeLimit = Annotated[
    Size | None,
    _NO_LIMIT,
    WithJsonSchema({"type": ["string", "integer", "null"], "examples": ["50GiB", "none"]}),
]
CountLimit = Annotated[
    Annotated[int, Field(ge=1)] | None,
    _NO_LIMIT,
    WithJsonSchema({"anyOf": [{"type": ["integer", "null"], "minimum": 1}, {"const": "none"}]}),
]
RatioLimit = Annotated[
    Annotated[float, Field(gt=0)] | None,
    _NO_LIMIT,
    WithJsonSchema({"anyOf": [{"type": ["number", "null"], "minimum": 1}, {"const": "none"}]}),
]
Rate = Annotated[float, reads(parse_rate, int, float), _text(r"^[0-9.]+/(s|m|h)$", "50/s", "100/m")]
Cron = Annotated[
    str, reads(parse_cron), _text(r"^(@[a-z]+|\S+( +\S+){4})$", "*/15 * * * *", "0 3 * * mon-fri")
]
Zone = Annotated[ZoneInfo, reads(parse_zone), _text(".", "Europe/Berlin", "UTC")]
NamePattern = Annotated[Pattern, reads(parse_pattern), _text(".", "v*", "/v[0-9]+/")]
Glob = Annotated[str, reads(_parse_glob), _text(".", "docker.io/library/*", "*")]
Expression = Annotated[Grouping, reads(parse_grouping), _text(r"\(", "^(.*)-[0-9]+$")]
Range = Annotated[VersionRange, reads(parse_range), _text(".", ">=1.2", "^1", ">=1.2 <2")]
Tag = Annotated[str, reads(_parse_tag, int, float), _text(r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", "1.0")]
TagTemplate = Annotated[
    str, reads(_parse_tag_template), _text(".", "{tag}-{digest}", "{tag}-original")
]
PinnedImage = Annotated[
    Reference, reads(_parse_pin), _text("@sha256:", "registry.example.com/app@sha256:...")
]
WebAddress = Annotated[
    str, reads(_parse_web_address), _text("^https?://", "https://hooks.example.com/promoted")
]
Token = Annotated[str, AfterValidator(_check_token)]
Argument = Annotated[str, AfterValidator(_check_argument)]
Base = Annotated[
    BaseChoice,
    reads(_parse_base, int),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["auto", "none", 1]}),
]
OnePlatform = Annotated[
    Platform, reads(parse_platform), _text("^[a-z0-9]+/[a-z0-9]+", "linux/amd64")
]
Compressing = Annotated[
    CompressionChoice,
    reads(parse_compression, int, float),
    _text("^(keep|gzip|zstd(:[0-9]+)?)$", "keep", "zstd:9"),
]
CopyMode = Annotated[
    Mode,
    reads(parse_mode),
    WithJsonSchema({"type": "string", "enum": [mode.value for mode in Mode]}),
]
PruneOver = Annotated[
    PruneThreshold,
    reads(partial(parse_prune_threshold, parse_size=parse_size), int),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["1%", "500k"]}),
]
Address = Annotated[tuple[str, int], reads(parse_address), _text(":[0-9]+$", "127.0.0.1:5000")]
Image = Annotated[Reference, reads(parse_reference), _text(".", "docker.io/library/debian:12")]
RepositoryName = Annotated[
    Repository, reads(parse_repository), _text("/", "registry.example.com/cache")
]
RepositoryNames = Annotated[
    RepositoryPattern,
    reads(parse_repository_pattern),
    _text(".", "registry.example.com/apps/*", "docker.io/library/debian"),
]
Host = Annotated[str, reads(parse_named_host), _text(".", "docker.io", "registry.example.com:5000")]
Url = Annotated[str, reads(_parse_url), _text("^https?://", "https://registry-1.docker.io")]
LayerMemory = Annotated[
    LayerMemoryChoice,
    PlainValidator(_read_layer_memory),
    WithJsonSchema(
        {"type": "string", "examples": ["./layers", "registry.example.com/layers", "none"]}
    ),
]
FileName = Annotated[
    Path, PlainValidator(in_folder), WithJsonSchema({"type": "string", "examples": ["ca.pem"]})
]
