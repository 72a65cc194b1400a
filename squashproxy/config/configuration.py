"""The whole configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.engine import EngineSettings
from squashproxy.config.image_limits import ImageLimits
from squashproxy.config.promote import PromoteRule
from squashproxy.config.section import Section
from squashproxy.config.serve import ServeSettings
from squashproxy.config.value_types import Duration, FileName, Host, LayerMemory, Rate, Size
from squashproxy.registry.options import UploadMode


@dataclass(frozen=True, slots=True)
class RegistrySettings(Section):
    """Settings of one registry host."""

    plain_http: bool = False
    """Speak plain HTTP. Loopback hosts need no such setting."""
    insecure: bool = False
    """Do not verify its certificate."""
    ca: FileName | None = None
    """Certificates (PEM) to trust for this host."""
    rate: Rate | None = None
    """The most requests to send, as in 50/s."""
    upload: UploadMode = UploadMode.AUTO
    """How blobs are uploaded: auto, stream, chunks or monolithic."""
    retry_for: Duration | None = None
    """How long an outage may last before a call is given up; counted without progress."""
    least_speed: Size | None = None
    """The bytes per second that an answer must bring, or it is asked for again."""


@dataclass(frozen=True, slots=True)
class Configuration(Section):
    """The contents of a configuration file."""

    registries: Mapping[Host, RegistrySettings] = field(default_factory=dict)
    """Settings of registry hosts."""
    engine: EngineSettings = field(default_factory=EngineSettings)
    """Where jobs run."""
    promote: tuple[PromoteRule, ...] = ()
    """Promotion rules: which images are copied where, squashed."""
    cleanup: tuple[CleanupRule, ...] = ()
    """Cleanup rules: which old images are deleted or squashed."""
    serve: ServeSettings | None = None
    """The pull-through registry."""
    limits: ImageLimits = field(default_factory=ImageLimits)
    """Limits on the images that promote and cleanup copy."""
    layer_memory: LayerMemory | None = None
    """Where listings of layers and results are remembered: a folder, HOST/REPO or none."""
    state: FileName | None = None
    """The folder for state between runs: manifests, history, audit logs."""
