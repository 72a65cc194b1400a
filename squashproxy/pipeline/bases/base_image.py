"""Comparing an image with one that may be its base, as it is or in squashed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.errors import BadReference, BaseMismatch
from squashproxy.location import Location
from squashproxy.oci.chain import chain_id, chain_ids
from squashproxy.oci.manifest import ImageIndex, ImageManifest, parse_manifest
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.image import Image, read_image
from squashproxy.pipeline.stamp import CHAIN, chain_in
from squashproxy.reference import SCRATCH, parse_reference
from squashproxy.transports.base import ImageSource
from squashproxy.transports.documents import parse_image
from squashproxy.transports.index_images import find_image

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

SourceOpener = Callable[[Location], ImageSource]
"""Opens an image that may be a base."""


@dataclass(frozen=True, slots=True)
class Match:
    """The base stands for the first `count` layers of an image.

    They are its own layers, or, with `is_squashed`, those that its own were squashed from.
    """

    count: int
    is_squashed: bool


def is_scratch(name: object) -> bool:
    """Whether an annotation names `scratch` as the base, which means that there is none."""
    try:
        return isinstance(name, str) and parse_reference(name).repository == SCRATCH
    except BadReference:
        return False


def read_base_image(source: ImageSource, platform: Platform) -> Image:
    """The image of `source`, of an index the one for `platform`. Raises BaseMismatch without it."""
    raw = source.read_manifest()
    parsed = parse_manifest(raw, f"the manifest of {source.name}")
    if isinstance(parsed, ImageIndex):
        found = find_image(source, parsed, platform)
        if found is None:
            raise BaseMismatch(
                f"{source.name} has no image for {platform}, so it cannot be the base"
            )
        raw = source.read_manifest(found)
    return read_image(source, parse_image(raw, source.name), raw.digest)


def match_base(image: Image, base: Image) -> Match | None:
    """How `base` is the base of `image`; None where it is not."""
    count = _prefix_length(image, base)
    if count is not None:
        return Match(count, is_squashed=False)
    count = squashed_count(image, base)
    return None if count is None else Match(count, is_squashed=True)


def squashed_count(image: Image, base: Image) -> int | None:
    """How many of the image's first layers `base` was squashed from; None where it was not.

    What it records is believed only if it is of the same platform, and if its config bears it out:
    its history ends with the stamp, or its own layers have that chain ID. Other tools keep the
    annotations of images that they add layers to.
    """
    chain = recorded_chain(base.manifest) or chain_in(base.config)
    proven = {chain_in(base.config), chain_id(base.config.diff_ids)}
    if chain is None or chain not in proven or not base.platform.matches(image.platform):
        return None
    return counts_by_chain(image).get(chain)


def recorded_chain(manifest: ImageManifest) -> str | None:
    """The chain ID of the source's layers that a manifest records (none in Docker's schema 2)."""
    return manifest.annotations.get(CHAIN)


def counts_by_chain(image: Image) -> dict[str, int]:
    """The number of layers that each chain ID of an image stands for."""
    chains = chain_ids(image.config.diff_ids)
    return {chain: count for count, chain in enumerate(chains, 1)}


def _prefix_length(image: Image, base: Image) -> int | None:
    """How many layers the two share where `base` is a prefix; compression does not matter."""
    count = len(base.manifest.layers)
    digests = [layer.digest for layer in image.manifest.layers[:count]]
    if digests == [layer.digest for layer in base.manifest.layers]:
        return count
    return count if image.config.diff_ids[:count] == base.config.diff_ids else None
