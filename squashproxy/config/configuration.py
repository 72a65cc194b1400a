"""The whole configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from squashproxy.config.serve import ServeSettings
from squashproxy.registry.options import UploadMode


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What cannot be guessed about a host; `ca` is a PEM file."""

    plain_http: bool = False
    insecure: bool = False
    ca: Path | None = None
    upload: UploadMode = UploadMode.AUTO


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How many jobs run at once in this process."""

    jobs: int = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says."""

    registries: Mapping[str, RegistrySettings] = field(default_factory=dict)
    engine: EngineSettings = EngineSettings()
    serve: ServeSettings | None = None
