"""Cleanup rules: the `cleanup` section."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from pydantic import Field

from squashproxy.config.promote import Count, Name
from squashproxy.config.rule_times import timetable_of
from squashproxy.config.section import Section
from squashproxy.config.signing import SignSettings
from squashproxy.config.value_types import (
    Base,
    Compressing,
    CopyMode,
    Cron,
    Duration,
    Expression,
    FileName,
    Interval,
    NamePattern,
    PruneOver,
    Range,
    RepositoryNames,
    Size,
    Zone,
)
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.options import BaseChoice, CompressionChoice
from squashproxy.rules.patterns import parse_pattern
from squashproxy.rules.timetable import Timetable


@dataclass(frozen=True, slots=True)
class Candidates(Section):
    """The tags that a rule may delete; all others stay."""

    include: tuple[NamePattern, ...] = (parse_pattern("*"),)
    exclude: tuple[NamePattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep(Section):
    """Reasons to keep a tag. One is enough."""

    tags: tuple[NamePattern, ...] = ()
    semver: Range | None = None
    newest: Count | None = None
    """The number of newest images to keep by date; in each group, if there is `group`."""
    group: Expression | None = None
    """A regular expression with a group, whose text sorts tags into groups: `^(.*)-[0-9]+$`."""
    younger_than: Duration | None = None
    """Keep images made within this time."""
    pushed_within: Duration | None = None
    """Keep images pushed within this time, where the registry tells: Google's and Harbor do."""
    pulled_within: Duration | None = None
    """Keep images pulled within this time, where the registry tells: Harbor does."""
    in_use: tuple[FileName, ...] = ()
    """Files that name images in use: one a line, or the output of `kubectl get pods -A -o json`."""

    @property
    def keeps_anything(self) -> bool:
        """Whether any tag can be kept."""
        return self != Keep(group=self.group)


@dataclass(frozen=True, slots=True)
class Untagged(Section):
    """Manifests without a tag are deleted this long after they were first seen without one."""

    older_than: Duration


class Action(Enum):
    """What is done with tags that are not kept."""

    SQUASH = "squash"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class CleanupRule(Section):
    """A rule for repositories, each `HOST/REPO`, or `HOST/GLOB` where the registry lists them."""

    name: Name
    repositories: Annotated[tuple[RepositoryNames, ...], Field(min_length=1)]
    action: Action
    tags: Candidates = Candidates()
    keep: Keep = Keep()
    untagged: Untagged | None = None
    mode: CopyMode = Mode.SQUASH
    """For squash: one layer above the base, or (prune) each without what upper layers hide."""
    prune_over: PruneOver = field(default_factory=PruneThreshold)
    """With `mode: prune`: a layer is written again only where at least so much of it goes."""
    max_layer_size: Size | None = None
    """With `mode: squash`: the new layer is cut into several of about this packed size."""
    base: Base = field(default_factory=BaseChoice)
    """For squash: which leading layers stay, as in a copy."""
    compression: Compressing = field(default_factory=CompressionChoice)
    """For squash: how the new layer is compressed, as in a copy."""
    sign: SignSettings | None = None
    """For squash: sign the results, each image and the index, before a tag moves."""
    schedule: Cron | None = None
    every: Interval | None = None
    timezone: Zone | None = None
    jitter: Duration = 0.0
    max_deletions: Count | None = None
    """A plan that deletes more tags and manifests than this is refused."""
    max_plan_age: Duration = 86400.0
    """A saved plan that is older is refused."""

    @property
    def timetable(self) -> Timetable | None:
        """The rule's schedule, if it has one."""
        return timetable_of(self.schedule, self.every, self.timezone, self.jitter)
