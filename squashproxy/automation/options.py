"""The options of a run that are not part of its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.pipeline.options import CopyOptions
from squashproxy.registry.options import ClientOptions


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options for registries, and the number of transfers of one image that run at once."""

    client: ClientOptions = field(default_factory=ClientOptions)
    jobs: int = CopyOptions().jobs
