"""The whole configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from pydantic import Field

from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.promote import PromoteRule
from squashproxy.config.section import Section
from squashproxy.config.serve import ServeSettings
from squashproxy.config.value_types import FileName, Host, Rate
from squashproxy.registry.options import UploadMode


@dataclass(frozen=True, slots=True)
class RegistrySettings(Section):
    """What cannot be guessed about a host."""

    plain_http: bool = False
    """Speak plain HTTP; loopback needs no such word."""
    insecure: bool = False
    """Do not verify its certificate."""
    ca: FileName | None = None
    """Certificates (PEM) to trust there."""
    rate: Rate | None = None
    """How many requests it is sent at most, as in 50/s."""
    upload: UploadMode = UploadMode.AUTO
    """How blobs are sent: auto, stream, chunks or monolithic."""


class EngineKind(Enum):
    """Where jobs run."""

    LOCAL = "local"
    CELERY = "celery"


@dataclass(frozen=True, slots=True)
class EngineSettings(Section):
    """Where jobs run: `local`, in this process, or on Celery workers; so many at once."""

    kind: EngineKind = EngineKind.LOCAL
    jobs: Annotated[int, Field(ge=1, le=64)] = 2
    broker: str | None = field(default=None, repr=False)
    """Of Celery, as in redis://127.0.0.1:6379/0."""


@dataclass(frozen=True, slots=True)
class Configuration(Section):
    """What a file says."""

    registries: Mapping[Host, RegistrySettings] = field(default_factory=dict)
    """What cannot be guessed about a host."""
    engine: EngineSettings = EngineSettings()
    """Where jobs run."""
    promote: tuple[PromoteRule, ...] = ()
    """Which images are copied to where, squashed."""
    cleanup: tuple[CleanupRule, ...] = ()
    """Which old images are squashed or deleted."""
    serve: ServeSettings | None = None
    """The pull-through registry."""
    state: FileName | None = None
    """A folder for what runs remember: manifests, history, audit logs."""
