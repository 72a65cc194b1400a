"""The images that a reference points to: a single one, or those of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.limits import Limits
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    IndexChild,
    RawManifest,
    parse_manifest,
)
from squashproxy.oci.platform import Platform, other_system
from squashproxy.transports.base import ImageReader
from squashproxy.transports.documents import parse_image, read_config, short
from squashproxy.transports.index_images import find_leaves, read_child
from squashproxy.verify.layers import ImageLayer
from squashproxy.verify.spent import Spent

_NO_PLATFORM = Platform("unknown", "unknown")


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """The layers of an image, base first; `other_system` is its system, where that is not Linux.
    `spent` counts what is unpacked of it.
    """

    layers: tuple[ImageLayer, ...]
    other_system: str | None
    spent: Spent


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """One image. Its config is not read yet where an index states its platform.

    `stated` is what the index states; None where there is no index, or none in it. `raw` is the
    manifest of an image without an index, whose name may be of any algorithm.
    """

    source: ImageReader
    digest: Digest
    platform: Platform
    stated: Platform | None = None
    raw: RawManifest | None = None

    def blobs(self) -> tuple[Descriptor, ...] | None:
        """The blobs of what nobody can unpack here: of an artifact, or of an image with encrypted
        or unknown layers. None for an image that can be unpacked.
        """
        manifest = parse_image(self._read_raw(), self.source.name)
        if manifest.is_image and all(map(_can_be_unpacked, manifest.layers)):
            return None
        return manifest.layers

    def read(self, limits: Limits) -> UnpackedImage:
        """Its layers, base first, from manifest and config, to be unpacked within `limits`.

        Raises FormatError for an artifact that is no image, and for encrypted or unknown layers.
        """
        manifest = _image(self.source, self._read_raw())
        for layer in manifest.layers:
            if not _can_be_unpacked(layer):
                raise FormatError(
                    f"the manifest {short(self.digest)} of {self.source.name} holds a blob of "
                    f"type {layer.media_type!r}, which is no layer that can be unpacked",
                    advice="compare images of plain layers",
                )
        config = read_config(self.source, manifest)
        count = len(manifest.layers)
        packed = sum(
            layer.size for layer in manifest.layers if not mediatypes.is_foreign(layer.media_type)
        )
        spent = Spent(limits, packed)
        layers = tuple(
            ImageLayer(self.source, layer, diff_id, number, count, spent, limits.memory)
            for number, (layer, diff_id) in enumerate(
                zip(manifest.layers, config.diff_ids, strict=True)
            )
        )
        types = [layer.media_type for layer in manifest.layers]
        return UnpackedImage(layers, other_system(config.document, self.stated, types), spent)

    def _read_raw(self) -> RawManifest:
        return self.raw or self.source.read_manifest(self.digest)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of a reference; attestations, and all else that is no image, are left out."""

    name: str
    digest: Digest
    is_index: bool
    images: tuple[PlatformImage, ...]

    @property
    def platforms_text(self) -> str:
        """The platforms, for people."""
        return ", ".join(str(image.platform) for image in self.images) or "nothing"


def read_images(source: ImageReader, wanted: Sequence[Platform] = ()) -> ImageSet:
    """Read the image or index that the reference of `source` points to, and indexes in it.

    With platforms `wanted`, images for others need not be there. Raises NotFound, RegistryError,
    IntegrityError, and FormatError for what is not an image.
    """
    raw = source.read_manifest()
    parsed = parse_manifest(raw, f"the manifest of {source.name}")
    if isinstance(parsed, ImageIndex):
        return ImageSet(source.name, raw.digest, True, _children(source, parsed, wanted))
    image = PlatformImage(source, raw.digest, _platform(source, raw), raw=raw)
    return ImageSet(source.name, raw.digest, False, (image,))


def _children(
    source: ImageReader, index: ImageIndex, wanted: Sequence[Platform]
) -> tuple[PlatformImage, ...]:
    """The images of an index.

    Manifests are read where the index does not tell whether they are images for a platform.
    """
    leaves = find_leaves(source, index, wanted).children
    images = [
        image
        for child in leaves
        if child.may_be_image and (image := _try_image(source, child, wanted)) is not None
    ]
    if index.children and not images:
        held = "attestations" if any(child.is_attestation for child in leaves) else index.kind
        raise FormatError(
            f"{source.name} holds {held} and no image",
            advice="name the index that they belong to"
            if held == "attestations"
            else "there is no tree to compare",
        )
    return tuple(images)


def _try_image(
    source: ImageReader, child: IndexChild, wanted: Sequence[Platform]
) -> PlatformImage | None:
    """An image of an index; None for an artifact. What is for no platform `wanted` is not read."""
    digest, stated = child.descriptor.digest, child.platform
    if stated is not None and wanted and not any(stated.matches(each) for each in wanted):
        return PlatformImage(source, digest, stated, stated)
    raw = read_child(source, child)
    manifest = parse_image(raw, source.name)
    if not manifest.is_image:
        return None
    return PlatformImage(source, digest, stated or _platform(source, raw), stated)


def _platform(source: ImageReader, raw: RawManifest) -> Platform:
    """The platform in an image's config; an artifact is for none."""
    manifest = parse_image(raw, source.name)
    return read_config(source, manifest).platform if manifest.is_image else _NO_PLATFORM


def _can_be_unpacked(layer: Descriptor) -> bool:
    return mediatypes.is_layer(layer.media_type) or mediatypes.is_foreign(layer.media_type)


def _image(source: ImageReader, raw: RawManifest) -> ImageManifest:
    manifest = parse_image(raw, source.name)
    if not manifest.is_image:
        raise FormatError(
            f"the manifest {short(raw.digest)} of {source.name} is an artifact of type "
            f"{manifest.kind!r} and no container image; there is no tree to compare"
        )
    return manifest
