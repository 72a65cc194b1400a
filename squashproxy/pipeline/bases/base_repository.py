"""A repository that holds bases: what its images record about their sources, each read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Lock
from typing import TypeVar

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import Family, family_of
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.bases.base_image import (
    SourceOpener,
    recorded_chain,
    squashed_count,
)
from squashproxy.pipeline.image import Image, read_image
from squashproxy.pipeline.stamp import chain_in
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.reference import Reference, Repository, is_tag
from squashproxy.transports.base import ImageSource
from squashproxy.transports.documents import parse_image, read_config
from squashproxy.transports.index_images import find_image

MOST_TAGS = 200
"""The number of tags of one repository that are read at most."""

_MOST_LISTED = 10_000
_COMPANION = re.compile(r"sha256-[0-9a-f]{64}")
"""The tags of signatures and of lists of referrers begin like this."""

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class BaseQuery:
    """The question for the base of `image`; `counts` are its numbers of layers by chain ID.

    `jobs` tags are read at once.
    """

    image: Image
    counts: Mapping[str, int]
    open_source: SourceOpener
    jobs: int


@dataclass(frozen=True, slots=True)
class SquashedBase:
    """An image of a base repository, squashed from the first `count` layers of another image."""

    count: int
    reference: Reference
    image: Image


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The image of a tag for one platform, and the chain ID that it records."""

    tag: str
    digest: Digest
    chain: str


@dataclass(slots=True)
class BaseRepository:
    """One repository, for the time of a run; usable from several threads.

    `_tops` are manifests and indexes by tag, None for what is unusable. `_chains` are what images
    record, and `_images` those that were looked at as bases, both by digest.
    """

    name: Repository
    _lock: Lock = field(default_factory=Lock)
    _tags: tuple[str, ...] | None = None
    _tops: dict[str, ImageManifest | ImageIndex | None] = field(default_factory=dict)
    _chains: dict[Digest, str | None] = field(default_factory=dict)
    _images: dict[Digest, Image | None] = field(default_factory=dict)
    is_cut: bool = False

    def choose_tags(self, list_tags: Callable[[], Iterator[str]]) -> tuple[str, ...]:
        """The tags to read, the highest version first. `is_cut` says that there are others.

        Raises what `list_tags` raises.
        """
        with self._lock:
            if self._tags is None:
                listed = list(islice(filter(_may_be_image, list_tags()), _MOST_LISTED))
                self.is_cut = len(listed) > MOST_TAGS
                self._tags = tuple(sorted(listed, key=natural_key, reverse=True)[:MOST_TAGS])
            return self._tags

    def find(self, query: BaseQuery, tags: Sequence[str], most: int) -> SquashedBase | None:
        """The image that stands for most layers, up to `most`; of equals, that of the first tag.

        What is unusable is passed over. Raises temporary errors.
        """
        with self._lock:
            fitting = [
                each
                for each in self._read_all(query, tags)
                if 0 < query.counts.get(each.chain, 0) <= most
            ]
            for each in sorted(fitting, key=lambda each: -query.counts[each.chain]):
                image = self._image(query.open_source, each)
                count = None if image is None else squashed_count(query.image, image)
                if image is not None and count is not None:
                    return SquashedBase(count, Reference(self.name, each.tag), image)
        return None

    def forget_tag(self, tag: str) -> None:
        """Read a tag again when it is needed next."""
        with self._lock:
            self._tops.pop(tag, None)
            if self._tags is not None and tag not in self._tags:
                tags = sorted((*self._tags, tag), key=natural_key, reverse=True)
                self._tags = tuple(tags)

    def _read_all(self, query: BaseQuery, tags: Sequence[str]) -> list[_Recorded]:
        """What the images of the tags record, in the order of the tags."""
        found: dict[str, _Recorded] = {}

        def read(tag: str) -> None:
            recorded = self._read(query.open_source, tag, query.image.listed_platform)
            if recorded is not None:
                found[tag] = recorded

        with CopyThreads(query.jobs) as threads:
            for tag in tags:
                threads.start(partial(read, tag))
        return [found[tag] for tag in tags if tag in found]

    def _read(self, open_source: SourceOpener, tag: str, platform: Platform) -> _Recorded | None:
        source = open_source(Reference(self.name, tag))
        if tag not in self._tops:
            self._tops[tag] = _unless_unusable(lambda: _parsed(source, source.read_manifest()))
        top = self._tops[tag]
        if top is None:
            return None
        digest: Digest | None = top.raw.digest
        if isinstance(top, ImageIndex):
            digest = _unless_unusable(partial(find_image, source, top, platform))
        if digest is None:
            return None
        if digest not in self._chains:
            self._chains[digest] = _unless_unusable(partial(_chain_of, source, top, digest))
        chain = self._chains[digest]
        return None if chain is None else _Recorded(tag, digest, chain)

    def _image(self, open_source: SourceOpener, found: _Recorded) -> Image | None:
        digest = found.digest
        if digest not in self._images:
            source = open_source(Reference(self.name, None, digest))
            self._images[digest] = _unless_unusable(
                lambda: read_image(source, parse_image(source.read_manifest(), source.name), digest)
            )
        return self._images[digest]


def natural_key(tag: str) -> list[tuple[int, str]]:
    """A key that sorts tags as versions: 1.10 is higher than 1.9."""
    parts = re.findall(r"[0-9]+|[^0-9]+", tag)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _may_be_image(name: str) -> bool:
    return is_tag(name) and _COMPANION.match(name) is None


def _parsed(source: ImageSource, raw: RawManifest) -> ImageManifest | ImageIndex:
    return parse_manifest(raw, f"the manifest of {source.name}")


def _chain_of(source: ImageSource, top: ImageManifest | ImageIndex, digest: Digest) -> str | None:
    """The chain ID that an image records; `top` is the image, or the index that lists it."""
    if isinstance(top, ImageIndex):
        top = parse_image(source.read_manifest(digest), source.name)
    if not top.is_image:
        return None
    if family_of(top.raw.media_type) is Family.OCI:
        return recorded_chain(top)
    return chain_in(read_config(source, top))


def _unless_unusable(read: Callable[[], _Read]) -> _Read | None:
    """What `read` gives, None where it fails for good. Raises temporary errors."""
    try:
        return read()
    except SquashproxyError as error:
        if error.temporary:
            raise
        return None
