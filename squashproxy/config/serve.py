"""What `serve` may be told (the `serve` section)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from squashproxy.config.choices import by_key, named, one_or_more
from squashproxy.config.listeners import LISTEN_SCHEMA, written_listener
from squashproxy.config.section import Section
from squashproxy.config.value_types import (
    Base,
    Compressing,
    Duration,
    FileName,
    Glob,
    Host,
    Image,
    Interval,
    OnePlatform,
    RepositoryName,
    Size,
    Url,
    Wait,
)
from squashproxy.pipeline.options import BaseChoice, CompressionChoice

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Listener:
    """An address; names without a host mean `upstream` there, as docker's registry-mirrors want."""

    host: str
    port: int
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings(Section):
    """PEM files."""

    certificate: FileName
    key: FileName


@dataclass(frozen=True, slots=True)
class UpstreamSettings(Section):
    """A registry that may be pulled through."""

    url: Url | None = None
    """Where its API is, if not at its name: scheme, host and port."""
    username: str | None = None
    """With `password`: what the server logs in with, instead of docker's and podman's files."""
    password: str | None = field(default=None, repr=False)
    """See `username`; `${NAME}` takes it from the environment."""
    stale: bool = True
    """Whether its last word holds where it gives none: down, throttled, or the tag gone."""


@dataclass(frozen=True, slots=True)
class DirectoryStoreSettings(Section):
    """A folder, an OCI image layout, of at most `max_size`."""

    directory: FileName
    max_size: Size = 50 * _GIB


@dataclass(frozen=True, slots=True)
class RegistryStoreSettings(Section):
    """Below a repository of a registry, which replicas may share."""

    registry: RepositoryName


@dataclass(frozen=True, slots=True)
class Rule(Section):
    """How the repositories are squashed that match a glob over HOST/REPO; the first match wins."""

    match: Glob
    squash: bool = True
    base: Base = field(default_factory=BaseChoice)
    """Which leading layers stay, as in a copy: auto, none, a number of layers, or an image."""
    platforms: tuple[OnePlatform, ...] = ()
    """Only these; one alone becomes the image itself."""
    compression: Compressing = field(default_factory=CompressionChoice)
    """How new layers are compressed, as in a copy."""


class Fallback(Enum):
    """What is handed out where nothing is squashed in time."""

    ORIGINAL = "original"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class FirstPull(Section):
    """How long a first pull waits, and what comes then."""

    wait: Wait = 25.0
    """containerd 2.3 and later give up after 30 s."""
    then: Fallback = Fallback.ORIGINAL
    """The original, or an error (503) that lets clients go to the next mirror."""


@dataclass(frozen=True, slots=True)
class NoAuth(Section):
    """Everyone may read."""


@dataclass(frozen=True, slots=True)
class HtpasswdAuth(Section):
    """Users of a file with bcrypt passwords."""

    htpasswd: FileName
    read: Mapping[str, tuple[Glob, ...]] | None = None
    """Users to globs over HOST/REPO; without it, every user reads everything."""


@dataclass(frozen=True, slots=True)
class UpstreamAuth(Section):
    """Upstream decides, asked with the caller's credentials."""


@dataclass(frozen=True, slots=True)
class WarmSettings(Section):
    """Images that are squashed ahead of the first pull."""

    images: tuple[Image, ...] = ()
    every: Interval | None = None
    """How often the tags are looked at again; without it, once."""


@dataclass(frozen=True, slots=True)
class HookSettings(Section):
    """What webhooks must send."""

    token: Annotated[str, Field(min_length=1)] = field(repr=False)
    """The Authorization header, alone or after `Bearer `."""


@dataclass(frozen=True, slots=True)
class ServeLimits(Section):
    """Bounds; the last three on images that are squashed (see pipeline.options.Limits)."""

    connections: Annotated[int, Field(ge=1)] = 1000
    jobs_waiting: Annotated[int, Field(ge=0)] = 1000
    max_unpacked: Size | None = None
    max_entries: Annotated[int, Field(ge=1)] | None = None
    max_ratio: Annotated[float, Field(gt=0)] | None = None


def _read_listener(value: Any, info: ValidationInfo) -> Listener:
    written = written_listener(value, info)
    return Listener(*written.address, written.upstream)


Listeners = Annotated[
    tuple[Annotated[Listener, PlainValidator(_read_listener)], ...],
    BeforeValidator(one_or_more),
    WithJsonSchema(LISTEN_SCHEMA),
]
Store = Annotated[
    DirectoryStoreSettings | RegistryStoreSettings,
    by_key({"directory": DirectoryStoreSettings, "registry": RegistryStoreSettings}),
]
Auth = Annotated[
    NoAuth | HtpasswdAuth | UpstreamAuth,
    named({"none": NoAuth(), "upstream": UpstreamAuth()}, {"htpasswd": HtpasswdAuth}),
]


@dataclass(frozen=True, slots=True)
class ServeSettings(Section):
    """The pull-through registry."""

    upstreams: Annotated[Mapping[Host, UpstreamSettings], Field(min_length=1)]
    """The registries that may be pulled through; no other is ever asked."""
    store: Store
    """Where images are kept: a folder, or below a repository of a registry."""
    listen: Listeners = (Listener("127.0.0.1", 5000),)
    """HOST:PORT, or a list of these and of {address, upstream}."""
    tls: TlsSettings | None = None
    """Speak TLS with these files."""
    rules: tuple[Rule, ...] = (Rule("*"),)
    """What is squashed, and how; what no rule matches is handed out as it is."""
    first_pull: FirstPull = FirstPull()
    """How long a pull waits for an image that was never squashed."""
    tag_ttl: Duration = 600.0
    """How long a tag is trusted before upstream is asked again (HEAD)."""
    negative_ttl: Duration = 30.0
    """How long it is remembered that a tag is not there, or that squashing failed."""
    auth: Auth = NoAuth()
    """Who may pull: none (all), {htpasswd: FILE}, or upstream."""
    warm: WarmSettings = WarmSettings()
    """Images that are squashed ahead."""
    hook: HookSettings | None = None
    """What webhooks must send."""
    limits: ServeLimits = ServeLimits()
    """Bounds."""
    drain: Duration = 30.0
    """How long a shutdown waits for running requests."""
