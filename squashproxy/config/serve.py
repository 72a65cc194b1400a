"""What `serve` may be told (the `serve` section)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from squashproxy.oci.platform import Platform
from squashproxy.pipeline.options import BaseChoice, CompressionChoice
from squashproxy.reference import Reference, Repository

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Listener:
    """An address; names without a host mean `upstream` there."""

    host: str
    port: int
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """A registry that may be pulled through.

    `url` is where its API is, if not at its name; with `stale`, its last word holds where it gives
    none.
    """

    url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    stale: bool = True


@dataclass(frozen=True, slots=True)
class DirectoryStoreSettings:
    """A folder of at most `max_size` bytes."""

    directory: Path
    max_size: int = 50 * GIB


@dataclass(frozen=True, slots=True)
class RegistryStoreSettings:
    """Below a repository of a registry."""

    registry: Repository


@dataclass(frozen=True, slots=True)
class Rule:
    """How repositories are squashed that match a glob over HOST/REPO."""

    match: str
    squash: bool = True
    base: BaseChoice = field(default_factory=BaseChoice)
    platforms: tuple[Platform, ...] = ()
    compression: CompressionChoice = field(default_factory=CompressionChoice)


class Fallback(Enum):
    """What is handed out where nothing is squashed in time."""

    ORIGINAL = "original"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class FirstPull:
    """How long, in seconds, a first pull waits, and what comes then."""

    wait: float = 25.0
    then: Fallback = Fallback.ORIGINAL


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Everyone may read."""


@dataclass(frozen=True, slots=True)
class HtpasswdAuth:
    """Users of a file; `read` maps them to globs over HOST/REPO, None lets all read all."""

    htpasswd: Path
    read: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class UpstreamAuth:
    """Upstream decides, asked with the caller's credentials."""


@dataclass(frozen=True, slots=True)
class WarmSettings:
    """Images to squash ahead, again every so many seconds."""

    images: tuple[Reference, ...] = ()
    every: float | None = None


@dataclass(frozen=True, slots=True)
class HookSettings:
    """What webhooks must send."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """Bounds; the last three on images that are squashed (see pipeline.options.Limits)."""

    connections: int = 1000
    jobs_waiting: int = 1000
    max_unpacked: int | None = None
    max_entries: int | None = None
    max_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The whole section; durations in seconds, sizes in bytes."""

    upstreams: Mapping[str, UpstreamSettings]
    store: DirectoryStoreSettings | RegistryStoreSettings
    listen: tuple[Listener, ...] = (Listener("127.0.0.1", 5000),)
    tls: TlsSettings | None = None
    rules: tuple[Rule, ...] = (Rule("*"),)
    first_pull: FirstPull = FirstPull()
    tag_ttl: float = 600.0
    negative_ttl: float = 30.0
    auth: NoAuth | HtpasswdAuth | UpstreamAuth = NoAuth()
    warm: WarmSettings = WarmSettings()
    hook: HookSettings | None = None
    limits: ServeLimits = ServeLimits()
    drain: float = 30.0
