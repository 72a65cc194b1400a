"""Which images are cleaned up (the `cleanup` section)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from pydantic import Field

from squashproxy.config.forms import Cron, Duration, FileName
from squashproxy.config.promote import Count, Name
from squashproxy.config.section import Section


@dataclass(frozen=True, slots=True)
class Keep(Section):
    """What stays, whatever else is said."""

    tags: tuple[str, ...] = ()
    newest: Count | None = None
    younger_than: Duration | None = None
    in_use: tuple[FileName, ...] = ()
    """Files that name images, such as what `kubectl get pods -o json` writes."""


@dataclass(frozen=True, slots=True)
class Untagged(Section):
    """Manifests without a tag."""

    older_than: Duration


class Action(Enum):
    """What happens to what does not stay."""

    SQUASH = "squash"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class CleanupRule(Section):
    """For the repositories that match any of the globs."""

    name: Name
    repositories: Annotated[tuple[Name, ...], Field(min_length=1)]
    action: Action
    keep: Keep = Keep()
    untagged: Untagged | None = None
    schedule: Cron | None = None
    every: Duration | None = None
    max_deletions: Count | None = None
    """A plan above it is refused."""
