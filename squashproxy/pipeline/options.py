"""What a copy may be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from squashproxy.codec.library import Library, find_library
from squashproxy.errors import UsageError
from squashproxy.location import ArchiveReference, Location, parse_location
from squashproxy.oci.mediatypes import Compression
from squashproxy.oci.platform import Platform
from squashproxy.reference import Repository


class BaseKind(Enum):
    """The four ways to say which layers are the base."""

    AUTO = "auto"
    NONE = "none"
    COUNT = "count"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class BaseChoice:
    """Which leading layers stay as they are."""

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


def parse_base(text: str) -> BaseChoice:
    """Read `auto`, `none`, a number of layers, or a reference; raise UsageError."""
    if text in (BaseKind.AUTO.value, BaseKind.NONE.value):
        return BaseChoice(BaseKind(text))
    if text.lstrip("-").isascii() and text.lstrip("-").isdigit():
        count = int(text)
        if count < 0:
            raise UsageError(f"--base {text}: a number of layers is 0 or more")
        return BaseChoice(BaseKind.COUNT, count) if count else BaseChoice(BaseKind.NONE)
    image = parse_location(text)
    if isinstance(image, ArchiveReference) and image.is_stream:
        raise UsageError(f"--base {text}: a base cannot come through a pipe; name its file")
    return BaseChoice(BaseKind.IMAGE, image=image)


@dataclass(frozen=True, slots=True)
class CompressionChoice:
    """How new layers are packed; `kind` None keeps the source's format."""

    kind: Compression | None = None
    level: int | None = None

    def __str__(self) -> str:
        if self.kind is None:
            return "keep"
        return self.kind.value if self.level is None else f"{self.kind.value}:{self.level}"


def parse_compression(text: str) -> CompressionChoice:
    """Read `keep`, `gzip`, or `zstd[:LEVEL]` with a level of 1 to 22; raise UsageError."""
    name, colon, level = text.partition(":")
    if text == "keep":
        return CompressionChoice()
    if text == "gzip":
        return CompressionChoice(Compression.GZIP)
    if name == "zstd" and not colon:
        return CompressionChoice(Compression.ZSTD)
    if name == "zstd" and level.isascii() and level.isdigit() and 1 <= int(level) <= 22:
        return CompressionChoice(Compression.ZSTD, int(level))
    raise UsageError(
        f"--compression {text}: choose keep, gzip, zstd or zstd:LEVEL with a level of 1 to 22"
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Past one of these an image is refused; None is no limit. Sizes in bytes.

    `memory` bounds what the merge remembers (paths, links), `unpacked` the inflated size of all
    layers read, `entries` their tar entries, `ratio` inflated to compressed size of one layer.
    """

    memory: int | None = 2 << 30
    unpacked: int | None = None
    entries: int | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """All that shapes a copy.

    Without a `library` that sees the blocks of gzip, everything is compressed anew.
    """

    base: BaseChoice = BaseChoice()
    base_repos: tuple[Repository, ...] = ()
    platforms: tuple[Platform, ...] = ()
    compression: CompressionChoice = CompressionChoice()
    strict: bool = False
    force: bool = False
    no_clobber: bool = False
    backup: str | None = None
    verify: bool = False
    provenance: bool = False
    limits: Limits = field(default_factory=Limits)
    jobs: int = 3
    library: Library | None = field(default_factory=find_library)
