"""The options of a copy, and the parsers of their values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from squashproxy.codec.library import Library, find_library
from squashproxy.layer_memory.base import LayerMemory, Nothing
from squashproxy.limits import Limits as Limits  # noqa: PLC0414 - a part of CopyOptions
from squashproxy.location import ArchiveReference, Location, parse_location
from squashproxy.oci.mediatypes import Compression
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.reference import SCRATCH, Reference, Repository

if TYPE_CHECKING:  # cryptography takes long to import, and few copies need it
    from squashproxy.signing.public_key import PublicKey
    from squashproxy.signing.signing import Signing


class BaseKind(Enum):
    """The four ways to choose the base."""

    AUTO = "auto"
    NONE = "none"
    COUNT = "count"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class BaseChoice:
    """Which leading layers stay unchanged."""

    kind: BaseKind = BaseKind.AUTO
    count: int = 0
    image: Location | None = None

    @property
    def least_layers(self) -> int:
        """The smallest base that this choice can give, found without looking at any image."""
        return {BaseKind.NONE: 0, BaseKind.COUNT: self.count}.get(self.kind, 1)

    def __str__(self) -> str:
        if self.kind is BaseKind.COUNT:
            return str(self.count)
        return str(self.image) if self.image else self.kind.value


_MOST_DIGITS = 6


def parse_base(text: str) -> BaseChoice:
    """Parse `auto`, `none`, a number of layers, or a reference. Raises ValueError.

    `scratch`, which builders write for no base, means `none`.
    """
    if text in (BaseKind.AUTO.value, BaseKind.NONE.value):
        return BaseChoice(BaseKind(text))
    if re.fullmatch(r"-?[0-9]+", text):
        if len(text) > _MOST_DIGITS:
            raise ValueError(f"{text[:_MOST_DIGITS]}...: no image has so many layers")
        count = int(text)
        if count < 0:
            raise ValueError(f"{text}: a number of layers is 0 or more")
        return BaseChoice(BaseKind.COUNT, count) if count else BaseChoice(BaseKind.NONE)
    image = parse_location(text)
    if isinstance(image, ArchiveReference) and image.is_stream:
        raise ValueError(f"{text}: a base cannot come through a pipe; name its file")
    if isinstance(image, Reference) and image.repository == SCRATCH:
        return BaseChoice(BaseKind.NONE)
    return BaseChoice(BaseKind.IMAGE, image=image)


@dataclass(frozen=True, slots=True)
class CompressionChoice:
    """How new layers are compressed; `kind` None keeps the source's format."""

    kind: Compression | None = None
    level: int | None = None

    def __str__(self) -> str:
        if self.kind is None:
            return "keep"
        return self.kind.value if self.level is None else f"{self.kind.value}:{self.level}"


def parse_compression(text: str) -> CompressionChoice:
    """Parse `keep`, `gzip`, or `zstd[:LEVEL]` with a level of 1 to 22. Raises ValueError."""
    name, colon, level = text.partition(":")
    if text == "keep":
        return CompressionChoice()
    if text == "gzip":
        return CompressionChoice(Compression.GZIP)
    if name == "zstd" and not colon:
        return CompressionChoice(Compression.ZSTD)
    if name == "zstd" and level.isascii() and level.isdigit() and 1 <= int(level) <= 22:
        return CompressionChoice(Compression.ZSTD, int(level))
    raise ValueError(f"{text}: choose keep, gzip, zstd or zstd:LEVEL with a level of 1 to 22")


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """The options that shape a copy.

    `max_layer_size` is about the size of a blob in bytes, at which a squashed layer is cut into
    several. `base_hosts` may be asked for a base that only the image names, besides the hosts that
    the copy is about; they are no part of what a second run compares. With `check_diff_ids`, what
    source layers unpack to is hashed and compared with the
    config. The result never depends on that: new layers have a diff ID of their own. Without a
    `library` that finds deflate blocks, new layers are always recompressed. `memory` is where
    listings of layers and results of pruning are remembered. `referrers` go along in the mode that
    keeps digests; with `keeps_tags`, tags that belong to the image (`sha256-HEX.sig` and the like)
    and point elsewhere at the target are left. With `required_keys`, one of them has to have signed
    the source, under its own name or one of `signed_as`. `signing` is how the result is signed.
    With `known_as`, signatures and provenance call the result by that name in place of the sink's.
    """

    mode: Mode = Mode.SQUASH
    prune_over: PruneThreshold = field(default_factory=PruneThreshold)
    base: BaseChoice = BaseChoice()
    base_repos: tuple[Repository, ...] = ()
    base_hosts: frozenset[str] = frozenset()
    platforms: tuple[Platform, ...] = ()
    compression: CompressionChoice = CompressionChoice()
    max_layer_size: int | None = None
    strict: bool = False
    check_diff_ids: bool = False
    force: bool = False
    no_clobber: bool = False
    backup: str | None = None
    verify: bool = False
    provenance: bool = False
    referrers: bool = False
    keeps_tags: bool = False
    required_keys: tuple[PublicKey, ...] = ()
    signed_as: tuple[Repository, ...] = ()
    signing: Signing | None = None
    known_as: Repository | None = None
    limits: Limits = field(default_factory=Limits)
    jobs: int = 3
    library: Library | None = field(default_factory=find_library)
    memory: LayerMemory = field(default_factory=Nothing, compare=False)
