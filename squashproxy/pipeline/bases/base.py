"""The base: the leading layers of an image that stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from squashproxy.digest import Digest
from squashproxy.location import Location
from squashproxy.oci.config import ImageConfig
from squashproxy.oci.conversion import layer_in
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import family_of
from squashproxy.pipeline.bases.base_image import (
    BASE_DIGEST,
    BASE_NAME,
    Match,
    is_scratch,
)
from squashproxy.pipeline.image import Image
from squashproxy.reference import Reference, Repository
from squashproxy.transports.base import ImageSource


@dataclass(frozen=True, slots=True)
class Base:
    """The base of an image: what stands for its first `count` layers, and `reason` why, for people.

    `layers` are the base's layers in the result: the image's own, those of the base image where the
    source has them uncompressed, or those of the base's squashed form, which may be fewer. They are
    in the image's own source, or in `source`. `squashed` is the config of the squashed form.
    `annotations` name the base image where that is known to be true; `repository` is where it
    lives.
    """

    count: int
    reason: str
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    repository: Repository | None = None
    source: ImageSource | None = None
    squashed: ImageConfig | None = None

    def config_of(self, image: Image) -> ImageConfig:
        """The config of `image` on this base, before anything above the base is changed.

        Its first `len(layers)` diff IDs are those of `layers`.
        """
        if self.squashed is None:
            return image.config
        return image.config.rebased(self.squashed, self.count)


@dataclass(frozen=True, slots=True)
class BaseShare:
    """What stands for one layer of the source in its base: a layer, and the size that counts."""

    digest: Digest | None
    size: int


def shares_of_base(layers: Sequence[Descriptor], count: int) -> list[BaseShare]:
    """The share of each of the source's first `count` layers, whose base consists of `layers`.

    A squashed form has other layers than its source. They are told off one by one from below; the
    last layer of either is there for all that are left of the other. Nothing tells which of them
    holds what. The sizes add up to those of `layers`.
    """
    shares = []
    for number in range(count):
        named = layers[min(number, len(layers) - 1)].digest if layers else None
        end = len(layers) if number == count - 1 else number + 1
        shares.append(BaseShare(named, sum(layer.size for layer in layers[number:end])))
    return shares


def whole_base(image: Image, reason: str) -> Base:
    """A base of all layers of an image: every one of them stays."""
    return own_base(image, len(image.manifest.layers), reason)


def unmerged_base(image: Image) -> Base | None:
    """The base of an image whose layers are never merged: all of them. None for a Linux image."""
    system = image.other_system
    return None if system is None else whole_base(image, f"layers for {system} are never merged")


def without_base(annotations: Mapping[str, str]) -> dict[str, str]:
    """Annotations without those that name a base; `scratch` is none, and stays true."""
    kept = {key: annotations[key] for key in annotations if key not in (BASE_NAME, BASE_DIGEST)}
    if is_scratch(annotations.get(BASE_NAME)):
        kept[BASE_NAME] = annotations[BASE_NAME]
    return kept


def own_base(
    image: Image, count: int, reason: str, annotations: Mapping[str, str] | None = None
) -> Base:
    """A base that is the image's own first layers."""
    return Base(count, reason, image.manifest.layers[:count], annotations or {})


def squashed_base(
    image: Image, match: Match, base: Image, source: ImageSource, reference: Location
) -> Base:
    """A base whose squashed form, which is at `reference`, takes the place of its layers."""
    family = family_of(image.manifest.raw.media_type)
    run = "the first layer" if match.count == 1 else f"the first {match.count} layers"
    return Base(
        match.count,
        f"the squashed form of {run}, in {reference}",
        tuple(layer_in(family, layer) for layer in base.manifest.layers),
        base_annotations(reference, base) if isinstance(reference, Reference) else {},
        reference.repository if isinstance(reference, Reference) else None,
        source,
        base.config,
    )


def with_layers_of(found: Base, image: Image, base: Image, source: ImageSource) -> Base:
    """Take the compressed layers of the base image where `image` only has them uncompressed."""
    if image.chooses_compression or not base.chooses_compression:
        return found
    family = family_of(image.manifest.raw.media_type)
    layers = tuple(layer_in(family, layer) for layer in base.manifest.layers)
    return replace(found, layers=layers, source=source)


def base_annotations(reference: Reference, base: Image) -> dict[str, str]:
    """The annotations that name a base image (OCI image specification, annotations)."""
    digest = reference.digest or base.manifest.raw.digest
    return {BASE_NAME: str(reference), BASE_DIGEST: digest}
