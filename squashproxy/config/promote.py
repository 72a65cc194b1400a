"""Promotion rules: the `promote` section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from pydantic import BeforeValidator, Field

from squashproxy.config.hooks import Hooks
from squashproxy.config.rule_times import timetable_of
from squashproxy.config.section import Section
from squashproxy.config.signing import KeySource, SignSettings
from squashproxy.config.value_types import (
    Base,
    Compressing,
    CopyMode,
    Cron,
    Duration,
    Interval,
    NamePattern,
    OnePlatform,
    PinnedImage,
    PruneOver,
    Range,
    RepositoryName,
    Size,
    Tag,
    TagTemplate,
    Zone,
    one_image_once,
)
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.options import BaseChoice, CompressionChoice
from squashproxy.rules.patterns import matches_any, parse_pattern
from squashproxy.rules.timetable import Timetable

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class TagSelection(Section):
    """The tags to promote: they meet every condition. Patterns are globs, or /expressions/."""

    include: tuple[NamePattern, ...] = (parse_pattern("*"),)
    exclude: tuple[NamePattern, ...] = ()
    semver: Range | None = None
    """A range as npm writes them: `>=1.2`, `^1`, `>=1.2 <2`."""
    newest: Count | None = None
    """Of the tags that meet the other conditions, only this number, by the date of the image."""
    younger_than: Duration | None = None
    older_than: Duration | None = None

    def names(self, tag: str) -> bool:
        """Whether a tag meets the conditions on its name. Dates are not looked at."""
        if not matches_any(self.include, tag) or matches_any(self.exclude, tag):
            return False
        return self.semver is None or self.semver.holds(tag)


class OnExisting(Enum):
    """What happens to an existing target tag that points to something else."""

    REPLACE = "replace"
    KEEP = "keep"
    BACKUP = "backup"


class Signed(Enum):
    """What happens to a signed image, whose signatures squashing makes invalid."""

    WARN = "warn"
    REFUSE = "refuse"
    COPY = "copy"
    """Also copy the original with its referrers, under a tag of its own."""


@dataclass(frozen=True, slots=True)
class MirrorDeletions(Section):
    """Delete at the target what this rule promoted and the source lost; with the limits of a
    cleanup.
    """

    max_deletions: Count = 10


@dataclass(frozen=True, slots=True)
class PromoteRule(Section):
    """A rule from one repository, or a glob over several, to a target; or from pinned digests."""

    name: Name
    target: Annotated[Name, Field(validation_alias="to")]
    """May contain `{repo}`, `{path}`, `{name}` and, after a colon, `{tag}`."""
    source: Annotated[Name | None, Field(validation_alias="from")] = None
    """HOST/REPO, or HOST/GLOB where the registry lists its repositories."""
    pins: Annotated[
        Mapping[PinnedImage, Annotated[tuple[Tag, ...], Field(min_length=1)]],
        BeforeValidator(one_image_once),
    ] = field(default_factory=dict)
    """HOST/REPO@DIGEST to tags: approved images, in place of `from`."""
    tags: TagSelection = TagSelection()
    platforms: tuple[OnePlatform, ...] = ()
    mode: CopyMode = Mode.SQUASH
    """squash: one layer above the base; prune: each layer without what upper layers hide; copy: the
    same bytes and digests.
    """
    referrers: bool | None = None
    """With `mode: copy`: whether signatures, attestations and all else that refers to the images go
    along; without this key they do.
    """
    prune_over: PruneOver = field(default_factory=PruneThreshold)
    """With `mode: prune`: a layer is written again only where at least so much of it goes."""
    max_layer_size: Size | None = None
    """With `mode: squash`: the new layer is cut into several of about this packed size."""
    base: Base = field(default_factory=BaseChoice)
    base_repos: tuple[Name, ...] = ()
    """Repositories of the target registry that hold base images; HOST may be left out."""
    compression: Compressing = field(default_factory=CompressionChoice)
    strict: bool = False
    verify: bool = False
    """Unpack source and result and compare them before the tag moves."""
    provenance: bool = False
    """Push an in-toto statement as a referrer."""
    require_signature: tuple[KeySource, ...] = ()
    """Public keys: an image that none of them signed is refused."""
    signed_as: tuple[RepositoryName, ...] = ()
    """Other names under which images may be signed, as before they were moved."""
    sign: SignSettings | None = None
    """Sign the results, each image and the index, before the tag moves."""
    signed: Signed = Signed.WARN
    originals: TagTemplate = "{tag}-original"
    """The tag for originals with `signed: copy`; `{digest}` is the original's."""
    on_existing: OnExisting = OnExisting.REPLACE
    backup: TagTemplate = "{tag}-{digest}"
    """The tag for replaced images with `on_existing: backup`; `{digest}` is the replaced image's.
    """
    mirror_deletions: MirrorDeletions | None = None
    hooks: Hooks = field(default_factory=Hooks)
    schedule: Cron | None = None
    every: Interval | None = None
    timezone: Zone | None = None
    jitter: Duration = 0.0

    @property
    def timetable(self) -> Timetable | None:
        """The rule's schedule, if it has one."""
        return timetable_of(self.schedule, self.every, self.timezone, self.jitter)
