"""Which images are promoted (the `promote` section)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from pydantic import Field

from squashproxy.config.forms import Base, Compressing, Cron, Duration, OnePlatform
from squashproxy.config.section import Section
from squashproxy.pipeline.options import BaseChoice, CompressionChoice

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class TagSelection(Section):
    """Which tags: those that pass every condition."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    semver: str | None = None
    """As in `>=1.2`."""
    newest: Count | None = None
    younger_than: Duration | None = None


class OnExisting(Enum):
    """What happens to a tag that is there."""

    REPLACE = "replace"
    KEEP = "keep"
    BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class PromoteRule(Section):
    """From one repository, or a glob over some, to another."""

    name: Name
    source: Annotated[Name, Field(validation_alias="from")]
    target: Annotated[Name, Field(validation_alias="to")]
    """May hold `{repo}`."""
    tags: TagSelection = TagSelection()
    platforms: tuple[OnePlatform, ...] = ()
    base: Base = field(default_factory=BaseChoice)
    base_repos: tuple[str, ...] = ()
    compression: Compressing = field(default_factory=CompressionChoice)
    schedule: Cron | None = None
    every: Duration | None = None
    on_existing: OnExisting = OnExisting.REPLACE
