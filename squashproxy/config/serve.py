"""Settings of the server: the `serve` section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from squashproxy.config.choices import by_key, named, one_or_more
from squashproxy.config.listeners import LISTEN_SCHEMA, written_listener
from squashproxy.config.section import Section
from squashproxy.config.signing import KeySource, SignSettings
from squashproxy.config.value_types import (
    Base,
    Compressing,
    CopyMode,
    CountLimit,
    Duration,
    FileName,
    Glob,
    Host,
    Image,
    Interval,
    Network,
    OnePlatform,
    PruneOver,
    RatioLimit,
    RepositoryName,
    Size,
    SizeLimit,
    Url,
    Wait,
)
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.options import BaseChoice, CompressionChoice

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Listener:
    """An address. Names without a host mean `upstream` there, as docker's registry-mirrors need."""

    host: str
    port: int
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings(Section):
    """The certificate and the key, as PEM files."""

    certificate: FileName
    key: FileName


@dataclass(frozen=True, slots=True)
class UpstreamSettings(Section):
    """A registry that clients may pull through this server."""

    url: Url | None = None
    """The address of its API, if it differs from its name: scheme, host and port."""
    username: str | None = None
    """The login of the server, with `password`, instead of docker's and podman's files."""
    password: str | None = field(default=None, repr=False)
    """See `username`; `${NAME}` takes it from the environment."""
    stale: bool = True
    """Whether the last known digest of a tag is used while upstream is down, throttled, or lacks
    the tag.
    """


@dataclass(frozen=True, slots=True)
class DirectoryStoreSettings(Section):
    """A folder (an OCI image layout) of at most `max_size`."""

    directory: FileName
    max_size: Size = 50 * _GIB


@dataclass(frozen=True, slots=True)
class RegistryStoreSettings(Section):
    """Repositories below a path in a registry; several servers may share it."""

    registry: RepositoryName


@dataclass(frozen=True, slots=True)
class Rule(Section):
    """How images are squashed whose HOST/REPO matches a glob. The first matching rule applies."""

    match: Glob
    squash: bool = True
    mode: CopyMode = Mode.SQUASH
    """squash: one layer above the base; prune: each layer without what upper layers hide; copy:
    handed out as it is, like `squash: false`.
    """
    prune_over: PruneOver = field(default_factory=PruneThreshold)
    """With `mode: prune`: a layer is written again only where at least so much of it goes."""
    max_layer_size: Size | None = None
    """With `mode: squash`: the new layer is cut into several of about this packed size."""
    base: Base = field(default_factory=BaseChoice)
    """Which leading layers stay, as in a copy: auto, none, a number of layers, or an image."""
    platforms: tuple[OnePlatform, ...] = ()
    """Only these platforms; a single one becomes the image itself."""
    compression: Compressing = field(default_factory=CompressionChoice)
    """How new layers are compressed, as in a copy."""
    require_signature: tuple[KeySource, ...] = ()
    """Public keys: what none of them signed is refused, squashed or not."""
    signed_as: tuple[RepositoryName, ...] = ()
    """Other names under which images may be signed, as before they were moved."""


class Fallback(Enum):
    """What a pull gets while nothing is squashed yet."""

    ORIGINAL = "original"
    ERROR = "error"


class Viewers(Enum):
    """Who may read metrics."""

    EVERYONE = "everyone"
    USERS = "users"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class FirstPull(Section):
    """How long a first pull waits, and what it gets then."""

    wait: Wait = 25.0
    """The time to wait; containerd 2.3 and later give up after 30 s."""
    then: Fallback = Fallback.ORIGINAL
    """The original image, or an error (503) that makes clients try the next mirror."""


@dataclass(frozen=True, slots=True)
class NoAuth(Section):
    """Everyone may read."""


@dataclass(frozen=True, slots=True)
class HtpasswdAuth(Section):
    """Users from a file with bcrypt passwords."""

    htpasswd: FileName
    read: Mapping[str, tuple[Glob, ...]] | None = None
    """For each user, the globs over HOST/REPO that may be read; without it every user reads
    everything.
    """


@dataclass(frozen=True, slots=True)
class UpstreamAuth(Section):
    """Upstream decides: it is asked with the caller's credentials."""


@dataclass(frozen=True, slots=True)
class WarmSettings(Section):
    """Images that are squashed before their first pull."""

    images: tuple[Image, ...] = ()
    every: Interval | None = None
    """How often the tags are checked again; without it, once."""


@dataclass(frozen=True, slots=True)
class HookSettings(Section):
    """The token that webhooks must send."""

    token: Annotated[str, Field(min_length=1)] = field(repr=False)
    """The Authorization header, alone or after `Bearer `."""


@dataclass(frozen=True, slots=True)
class ServeLimits(Section):
    """Limits of the server, and on images that are squashed; `none` is no limit.

    An image past one of these is handed out as it is.
    """

    connections: Annotated[int, Field(ge=1)] = 1000
    jobs_waiting: Annotated[int, Field(ge=0)] = 1000
    max_unpacked: SizeLimit = 100 * _GIB
    """Images whose layers unpack to more are not squashed."""
    max_entries: CountLimit = 2_000_000
    """Images with more files, directories and links are not squashed."""
    max_ratio: RatioLimit = 100.0
    """Images that unpack to more than so many times their size are not squashed."""
    memory: SizeLimit = 512 << 20
    """What a job may remember of paths, links and attributes."""
    job_idle: Interval = 600.0
    """How long a job may make no progress before it is given up."""


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
    """The pull-through server."""

    upstreams: Annotated[Mapping[Host, UpstreamSettings], Field(min_length=1)]
    """The registries that may be pulled through. No other registry is ever asked."""
    store: Store
    """Where squashed images are kept: a folder, or repositories of a registry."""
    listen: Listeners = (Listener("127.0.0.1", 5000),)
    """HOST:PORT, or a list of these and of {address, upstream}."""
    tls: TlsSettings | None = None
    """Serve TLS with these files."""
    rules: tuple[Rule, ...] = (Rule("*"),)
    """What is squashed, and how. An image that no rule matches is served as it is."""
    sign: SignSettings | None = None
    """Sign what is squashed here, each image and the index, before it is handed out."""
    provenance: bool = False
    """Keep an in-toto statement about what is squashed here, signed where `sign` says so."""
    first_pull: FirstPull = FirstPull()
    """How long a pull waits for an image that was never squashed."""
    tag_ttl: Duration = 600.0
    """How long a tag's digest is used before upstream is asked again (HEAD)."""
    negative_ttl: Duration = 30.0
    """How long a missing tag or a failed squash is remembered."""
    auth: Auth = NoAuth()
    """Who may pull: none (everyone), {htpasswd: FILE}, or upstream."""
    warm: WarmSettings = WarmSettings()
    """Images that are squashed before their first pull."""
    hook: HookSettings | None = None
    """The token that webhooks must send."""
    limits: ServeLimits = ServeLimits()
    """Limits of the server."""
    hosts: tuple[Host, ...] = ()
    """Names by which this server is reached at a loopback address, as through a proxy."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses of proxies whose X-Forwarded-For says who sent a request."""
    page: bool | None = None
    """Whether the page is shown. Without it: yes, but not with `auth: upstream`."""
    metrics: Viewers = Viewers.EVERYONE
    """Who may read /metrics: everyone, users (those who may see the page), or nobody."""
    drain: Duration = 30.0
    """How long a shutdown waits for running requests."""
