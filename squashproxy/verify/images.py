"""The images that a reference points to: a single one, or those of an index."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest
from squashproxy.oci.platform import Platform
from squashproxy.transports.base import ImageReader
from squashproxy.transports.documents import parse_image, read_config, short
from squashproxy.verify.layers import ImageLayer


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """One image. Its config is not read yet where an index states its platform."""

    source: ImageReader
    digest: Digest
    platform: Platform

    def read_layers(self, max_window: int | None = None) -> tuple[ImageLayer, ...]:
        """Its layers, base first, from manifest and config; for `max_window` see ImageLayer.

        Raises FormatError for an artifact that is no image, and for encrypted or unknown layers.
        """
        manifest = _image(self.source, self.source.read_manifest(self.digest))
        for layer in manifest.layers:
            if not mediatypes.is_layer(layer.media_type) and not mediatypes.is_foreign(
                layer.media_type
            ):
                raise FormatError(
                    f"the manifest {short(self.digest)} of {self.source.name} holds a blob of "
                    f"type {layer.media_type!r}, which is no layer that can be unpacked",
                    advice="compare images of plain layers",
                )
        diff_ids = read_config(self.source, manifest).diff_ids
        return tuple(
            ImageLayer(self.source, layer, diff_id, number, len(manifest.layers), max_window)
            for number, (layer, diff_id) in enumerate(zip(manifest.layers, diff_ids, strict=True))
        )


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of a reference; attestations are left out."""

    name: str
    digest: Digest
    is_index: bool
    images: tuple[PlatformImage, ...]

    @property
    def platforms_text(self) -> str:
        """The platforms, for people."""
        return ", ".join(str(image.platform) for image in self.images) or "nothing"


def read_images(source: ImageReader) -> ImageSet:
    """Read the image or index that the reference of `source` points to.

    Raises NotFound, RegistryError, IntegrityError, and FormatError for what is not an image.
    """
    raw = source.read_manifest()
    parsed = parse_manifest(raw, f"the manifest of {source.name}")
    if isinstance(parsed, ImageIndex):
        return ImageSet(source.name, raw.digest, True, _children(source, parsed))
    image = PlatformImage(source, raw.digest, _platform(source, raw))
    return ImageSet(source.name, raw.digest, False, (image,))


def _children(source: ImageReader, index: ImageIndex) -> tuple[PlatformImage, ...]:
    images = [child for child in index.children if not child.is_attestation]
    if index.children and not images:
        raise FormatError(
            f"{source.name} holds attestations and no image",
            advice="name the index that they belong to",
        )
    return tuple(
        PlatformImage(
            source,
            child.descriptor.digest,
            child.platform or _platform(source, source.read_manifest(child.descriptor.digest)),
        )
        for child in images
    )


def _platform(source: ImageReader, raw: RawManifest) -> Platform:
    return read_config(source, _image(source, raw)).platform


def _image(source: ImageReader, raw: RawManifest) -> ImageManifest:
    manifest = parse_image(raw, source.name)
    if not manifest.is_image:
        raise FormatError(
            f"the manifest {short(raw.digest)} of {source.name} is an artifact of type "
            f"{manifest.kind!r} and no container image; there is no tree to compare"
        )
    return manifest
