"""The images that an index leads to: its own children, and those of indexes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from squashproxy.digest import Digest
from squashproxy.errors import ArchiveError, FormatError, NotFound
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    IndexChild,
    RawManifest,
    check_depth,
    parse_manifest,
)
from squashproxy.oci.platform import Platform, platform_of
from squashproxy.transports.documents import ConfigReader, read_config, short

_MOST_CHILDREN = 4096
"""Indexes in indexes can list more in few bytes than anyone can read."""


class ManifestReader(Protocol):
    """The part of sources and sinks that reads manifests."""

    @property
    def name(self) -> str:
        """The reference, for people."""
        ...

    def read_manifest(self, digest: Digest) -> RawManifest:
        """The manifest of `digest`; digest verified."""
        ...


@dataclass(slots=True)
class Leaves:
    """What an index leads to that is no index itself, in order.

    `inner` are the indexes in it that were read, each once and after those in it.
    """

    children: list[IndexChild] = field(default_factory=list)
    inner: list[RawManifest] = field(default_factory=list)

    @property
    def manifests(self) -> list[Digest]:
        """The digests of all manifests below the index, each once: indexes, then their children."""
        listed = [child.descriptor.digest for child in self.children if child.is_manifest]
        return list(dict.fromkeys([*(inner.digest for inner in self.inner), *listed]))


def find_leaves(
    place: ManifestReader,
    index: ImageIndex,
    wanted: Sequence[Platform] = (),
    *,
    tolerant: bool = False,
) -> Leaves:
    """Follow indexes in an index down to what they list.

    What an inner index states no platform for has the one that the index around it states. Indexes
    for none of the platforms `wanted` are not read; with `tolerant`, those that are absent are not
    followed. Raises FormatError for indexes that go in a circle, too deep or too wide, and what
    `read_child` raises.
    """
    search = _Search(place, wanted, tolerant)
    search.follow(index, (index.raw.digest,), None)
    return search.found


@dataclass(slots=True)
class _Search:
    place: ManifestReader
    wanted: Sequence[Platform]
    tolerant: bool
    found: Leaves = field(default_factory=Leaves)
    known: dict[Digest, ImageIndex] = field(default_factory=dict)
    """The inner indexes that were read: one may be listed again and again."""

    def follow(
        self, index: ImageIndex, path: tuple[Digest, ...], around: IndexChild | None
    ) -> None:
        """Add what `index` leads to; `path` are the indexes from the first one down to it, and
        `around` is its entry in the one around it.
        """
        check_depth(len(path), f"what {path[-1]} of {self.place.name} lists")
        for child in index.children:
            leaf = _with_platform(child, around)
            inner = self._try_read(leaf, path)
            if inner is not None:
                self.follow(inner, (*path, leaf.descriptor.digest), leaf)
                if inner.raw not in self.found.inner:
                    self.found.inner.append(inner.raw)
            else:
                self._add(leaf)

    def _add(self, leaf: IndexChild) -> None:
        if len(self.found.children) == _MOST_CHILDREN:
            raise FormatError(
                f"{self.place.name} lists more than {_MOST_CHILDREN} images in indexes",
                advice="name one of its indexes by its digest",
            )
        self.found.children.append(leaf)

    def _try_read(self, child: IndexChild, path: tuple[Digest, ...]) -> ImageIndex | None:
        """The index that a child is; None for all else, and for an index that is not followed."""
        if not (child.is_index and child.may_be_image and _may_hold(child, self.wanted)):
            return None
        try:
            return self._read(child, path)
        except (NotFound, ArchiveError):
            if not self.tolerant:
                raise
            return None

    def _read(self, child: IndexChild, path: tuple[Digest, ...]) -> ImageIndex:
        digest, name = child.descriptor.digest, self.place.name
        if digest in path:
            raise FormatError(
                f"the index {short(digest)} of {name} holds itself", advice="build the image again"
            )
        if digest in self.known:
            return self.known[digest]
        raw = read_child(self.place, child)
        inner = parse_manifest(raw, f"the manifest {short(digest)} of {name}")
        if not isinstance(inner, ImageIndex):
            raise FormatError(
                f"{name} lists the manifest {short(digest)} as an index, which it is not",
                advice="build the image again",
            )
        self.known[digest] = inner
        return inner


def read_child(place: ManifestReader, child: IndexChild) -> RawManifest:
    """The manifest of a child. Where it is absent, raises NotFound or ArchiveError, which names
    it: a registry may hold an index without some of its images.
    """
    digest = child.descriptor.digest
    try:
        return place.read_manifest(digest)
    except (NotFound, ArchiveError) as error:
        what = "a manifest" if child.platform is None else f"an image for {child.platform}"
        fact = f"{place.name} is an index that names {what}, {digest}, which is not there"
        advice = "push or save it whole again, or name the platforms that are there with {platform}"
        if isinstance(error, NotFound):
            raise NotFound(fact, advice=advice, status=error.status) from error
        raise ArchiveError(fact, advice=advice) from error


def image_platform(place: ConfigReader, child: IndexChild) -> Platform | None:
    """The platform of a child: the one that its index states, or else its config.

    None for what is no image, is absent, or cannot be read.
    """
    if child.platform is not None:
        return child.platform
    try:
        manifest = _read_image(place, child)
        return None if manifest is None else platform_of(read_config(place, manifest).document)
    except (NotFound, ArchiveError, FormatError):
        return None


def find_image(place: ConfigReader, index: ImageIndex, platform: Platform) -> Digest | None:
    """The first image of an index that is for a platform; None where there is none.

    An index may list artifacts of the same platform, which only their manifests tell from images.
    Raises what `read_child` raises.
    """
    for child in find_leaves(place, index, [platform]).children:
        own = image_platform(place, child) if child.may_be_image else None
        if own is None or not own.matches(platform):
            continue
        if _read_image(place, child) is not None:
            return child.descriptor.digest
    return None


def _read_image(place: ManifestReader, child: IndexChild) -> ImageManifest | None:
    raw = read_child(place, child)
    manifest = parse_manifest(raw, f"the manifest {short(raw.digest)} of {place.name}")
    return manifest if isinstance(manifest, ImageManifest) and manifest.is_image else None


def _with_platform(child: IndexChild, around: IndexChild | None) -> IndexChild:
    if child.platform is not None or around is None or around.platform is None:
        return child
    stated = around.descriptor.extra["platform"]
    extra = {**child.descriptor.extra, "platform": stated}
    return IndexChild.of(replace(child.descriptor, extra=extra))


def _may_hold(child: IndexChild, wanted: Sequence[Platform]) -> bool:
    own = child.platform
    return not wanted or own is None or any(own.matches(each) for each in wanted)
