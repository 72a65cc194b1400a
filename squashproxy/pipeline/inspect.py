"""Inspecting an image without its layers: only manifests and configs are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from squashproxy.errors import ArchiveError, NotFound
from squashproxy.oci.config import ImageConfig
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, IndexChild, parse_manifest
from squashproxy.oci.platform import UNKNOWN, Platform, platform_of
from squashproxy.pipeline import stamp
from squashproxy.transports.base import ImageSource
from squashproxy.transports.documents import parse_image, read_config
from squashproxy.transports.index_images import find_leaves, read_child


@dataclass(frozen=True, slots=True)
class LayerDetails:
    """One layer; `size` is the size of its blob in bytes."""

    digest: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """One platform's image; `compressed` is the sum of its layers' blobs in bytes.

    `squashed_from` is the source's digest if this tool made the image. An artifact that is no
    container image has the platform `unknown`, no labels and no date. What an index lists as a
    blob has no layers.
    """

    platform: str
    digest: str
    media_type: str
    created: str | None
    compressed: int
    squashed_from: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    layers: tuple[LayerDetails, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """The document behind a reference; `images` is the single image, or all images of an index, and
    of indexes in it.

    `absent` are the digests of manifests that an index names and that are not there.
    """

    reference: str
    digest: str
    media_type: str
    annotations: dict[str, str] = field(default_factory=dict)
    attestations: int = 0
    images: tuple[ImageDetails, ...] = ()
    absent: tuple[str, ...] = ()


def inspect_image(source: ImageSource) -> Inspection:
    """Read the manifests and configs behind `source`.

    Raises NotFound, RegistryError, IntegrityError, and FormatError for what is no image document.
    """
    raw = source.read_manifest()
    parsed = parse_manifest(raw, source.name)
    if isinstance(parsed, ImageManifest):
        image = _image(source, parsed, None)
        return Inspection(source.name, raw.digest, parsed.raw.media_type, images=(image,))
    leaves = find_leaves(source, parsed, tolerant=True).children
    children = [child for child in leaves if not child.is_attestation]
    found = [(child, _try_child(source, child)) for child in children]
    return Inspection(
        source.name,
        raw.digest,
        parsed.raw.media_type,
        _texts(_object(parsed.document.get("annotations"))),
        len(leaves) - len(children),
        tuple(details for _, details in found if details is not None),
        tuple(child.descriptor.digest for child, details in found if details is None),
    )


def _try_child(source: ImageSource, child: IndexChild) -> ImageDetails | None:
    """What an index lists; None for what is not there."""
    if not child.is_manifest:
        return _blob(child.descriptor)
    try:
        raw = read_child(source, child)
    except (NotFound, ArchiveError):
        return None
    return _image(source, parse_image(raw, source.name), child.platform)


def _blob(blob: Descriptor) -> ImageDetails:
    return ImageDetails(
        str(UNKNOWN), blob.digest, blob.media_type, None, blob.size, None, {}, {}, ()
    )


def _image(source: ImageSource, manifest: ImageManifest, stated: Platform | None) -> ImageDetails:
    config = read_config(source, manifest) if manifest.is_image else None
    platform = platform_of(config.document, stated or UNKNOWN) if config else stated
    document = config.document if config else {}
    labels = _object(_object(document.get("config")).get("Labels"))
    created = document.get("created")
    return ImageDetails(
        platform=str(platform or UNKNOWN),
        digest=manifest.raw.digest,
        media_type=manifest.raw.media_type,
        created=created if isinstance(created, str) else None,
        compressed=sum(layer.size for layer in manifest.layers),
        squashed_from=manifest.annotations.get(stamp.SOURCE) or _source_in_history(config),
        labels=_texts(labels),
        annotations=_texts(_object(manifest.document.get("annotations"))),
        layers=tuple(
            LayerDetails(layer.digest, layer.media_type, layer.size) for layer in manifest.layers
        ),
    )


def _source_in_history(config: ImageConfig | None) -> str | None:
    """The source that the stamp in the last history entry names, where manifests have no
    annotations.
    """
    if config is None or not config.history:
        return None
    words = str(config.history[-1].get("comment") or "").split()
    prefix = f"{stamp.SOURCE}="
    return next((word.removeprefix(prefix) for word in words if word.startswith(prefix)), None)


def _object(value: object) -> Mapping[str, object]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _texts(pairs: Mapping[str, object]) -> dict[str, str]:
    return {str(key): str(value) for key, value in pairs.items()}
