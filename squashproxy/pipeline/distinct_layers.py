"""The distinct layers of images, and their sizes. Pure.

A registry stores a layer once, however many images have it. A sum over images therefore says
nothing about its size: an image may become smaller and the registry larger, where squashing makes
own layers of those that images shared (issue #25).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Json
from squashproxy.pipeline.results import LayerAction, LayerCopy, PlatformCopy


@dataclass(frozen=True, slots=True)
class DistinctBytes:
    """Compressed bytes of layers, each counted once.

    `plain` is what plain copies of the images would hold in the target, `held` what their results
    hold there.
    """

    plain: int = 0
    held: int = 0

    def __add__(self, other: DistinctBytes) -> DistinctBytes:
        return DistinctBytes(self.plain + other.plain, self.held + other.held)


@dataclass(frozen=True, slots=True)
class DistinctLayers:
    """The distinct layers of an image and of its result, all platforms together, with sizes."""

    plain: Mapping[Digest, int]
    held: Mapping[Digest, int]

    def to_json(self) -> Json:
        """The form for `parse_distinct`."""
        return {"plain": dict(self.plain), "held": dict(self.held)}


def parse_distinct(document: Json) -> DistinctLayers:
    """The inverse of `DistinctLayers.to_json`."""
    return DistinctLayers(document["plain"], document["held"])


def distinct_layers(platforms: Iterable[PlatformCopy]) -> DistinctLayers:
    """The layers of a copied image before and after the copy."""
    plain: dict[Digest, int] = {}
    held: dict[Digest, int] = {}
    for platform in platforms:
        for layer in platform.layers:
            plain[layer.source_digest] = layer.packed_before
            _note(held, *_stays(layer))
        for new in platform.new_layers:
            _note(held, new.digest, new.packed)
    return DistinctLayers(plain, held)


def distinct_bytes(images: Iterable[DistinctLayers]) -> DistinctBytes:
    """The bytes that images hold together in one place that stores each layer once."""
    plain: dict[Digest, int] = {}
    held: dict[Digest, int] = {}
    for image in images:
        plain.update(image.plain)
        for digest, size in image.held.items():
            _note(held, digest, size)
    return DistinctBytes(sum(plain.values()), sum(held.values()))


def _stays(layer: LayerCopy) -> tuple[Digest | None, int]:
    """The result's layer that a source's layer names; new layers speak for what was squashed."""
    is_squashed = layer.action is LayerAction.SQUASHED
    return (None if is_squashed else layer.digest), layer.packed_after


def _note(held: dict[Digest, int], digest: Digest | None, size: int) -> None:
    """Note a layer. Of two sizes the smaller is its own: where a squashed base has more layers than
    its source, the last that is named there has the size of all that follow, too.
    """
    if digest is not None and size:
        held[digest] = min(size, held.get(digest, size))
