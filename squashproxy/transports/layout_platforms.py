"""The platforms of images in a layout: several entries that are one image, and absent ones.

An `index.json` may be the multi-arch index itself, its images without names but with platforms. And
an index may name images that are not there: docker with the containerd store saves the platforms
that it pulled, with the index of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from squashproxy.errors import ArchiveError, FormatError, IntegrityError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    IndexChild,
    RawManifest,
    encode_json,
    parse_manifest,
)
from squashproxy.oci.mediatypes import OCI_INDEX, is_foreign
from squashproxy.oci.platform import UNKNOWN, Platform
from squashproxy.transports.documents import parse_image, short
from squashproxy.transports.index_images import find_leaves, image_platform
from squashproxy.transports.layout import REF_NAME, Layout, blob_path

_VERSIONS = ("os.version", "os.features")


@dataclass(frozen=True, slots=True)
class Present:
    """What is there of an image or index, and the sentences about what is not."""

    raw: RawManifest
    warnings: tuple[str, ...] = ()


def try_gather(layout: Layout, name: str | None) -> RawManifest | None:
    """The index of several entries that are one image: of that name, or without one.

    They are one image if each is for another platform, as are those in indexes among them. Where
    they are all that the layout lists, it is `index.json` as it stands. None where there is no such
    index.
    """
    children = [
        child
        for child in layout.index.children
        if child.descriptor in layout.images and _name_of(child.descriptor) == name
    ]
    if len(children) < 2:
        return None
    entries = [_unnamed(child.descriptor) for child in children]
    gathered = _index_of(layout, entries)
    if not _is_one_image(layout, gathered):
        return None
    if len(children) == len(layout.index.children) and name is None:
        return layout.index.raw
    return gathered.raw


def present(layout: Layout, raw: RawManifest) -> Present:
    """An index without the images that the layout does not hold; anything else as it is.

    Raises ArchiveError where it holds none of them.
    """
    index = parse_manifest(raw, f"the manifest {short(raw.digest)} of {layout.name}")
    if not isinstance(index, ImageIndex):
        return Present(raw)
    there = [_is_there(layout, child) for child in index.children]
    if all(there):
        return Present(raw)
    pairs = list(zip(index.children, there, strict=True))
    absent = ", ".join(_text(child) for child, is_there in pairs if not is_there)
    if not any(is_there and not child.is_attestation for child, is_there in pairs):
        raise ArchiveError(
            f"{layout.name} holds none of the images that its index names: {absent}",
            advice="save the image again, for a platform that was pulled",
        )
    entries = [
        entry
        for entry, is_there in zip(index.document["manifests"], there, strict=True)
        if is_there
    ]
    document = {**index.document, "manifests": entries}
    return Present(
        RawManifest(encode_json(document), raw.media_type),
        (f"{layout.name} names images that it does not hold; they are left out: {absent}",),
    )


def described(layout: Layout, image: Descriptor) -> str:
    """An image of a layout, for people: its digest, and its platform, or those of an index, where
    they are known.
    """
    try:
        images = _images_below(layout, _index_of(layout, [image.to_json()]))
    except (FormatError, ArchiveError, IntegrityError):
        images = []
    found = [_find_platform(layout, child) for child in images]
    platforms = ", ".join(dict.fromkeys(str(each) for each in found if each is not None))
    return f"@{image.digest}" + (f" ({platforms})" if platforms else "")


def whole_images(layout: Layout, index: ImageIndex) -> list[ImageManifest]:
    """The images of an index that the layout holds with all their blobs."""
    return [
        parse_image(layout.read_manifest(child.descriptor.digest), layout.name)
        for child in index.children
        if not child.is_attestation and _is_there(layout, child) and not child.is_index
    ]


def _is_there(layout: Layout, child: IndexChild) -> bool:
    """Whether the layout holds a child; an image with its config and all layers."""
    if layout.files.find(blob_path(child.descriptor.digest)) is None:
        return False
    try:
        found = parse_manifest(layout.read_manifest(child.descriptor.digest), layout.name)
    except FormatError:
        return True
    if not isinstance(found, ImageManifest):
        return True
    layers = [layer for layer in found.layers if not is_foreign(layer.media_type)]
    return all(
        layout.files.find(blob_path(blob.digest)) is not None for blob in (found.config, *layers)
    )


def _index_of(layout: Layout, entries: Sequence[Mapping[str, object]]) -> ImageIndex:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    index = parse_manifest(RawManifest(encode_json(document), OCI_INDEX), layout.name)
    assert isinstance(index, ImageIndex), "it was made as one"
    return index


def _is_one_image(layout: Layout, index: ImageIndex) -> bool:
    """Whether each image that the index leads to is for another platform. One image beside an
    artifact is not: the artifact may be anything.
    """
    try:
        images = _images_below(layout, index)
    except (FormatError, ArchiveError, IntegrityError):
        return False
    platforms = [_find_platform(layout, child) for child in images]
    keys = {
        (platform, *(str(_stated_fields(child.descriptor).get(field)) for field in _VERSIONS))
        for platform, child in zip(platforms, images, strict=True)
    }
    if None in platforms or len(keys) < len(images):
        return False
    return len(images) > 1 or (
        len(images) == 1 and sum(not child.is_attestation for child in index.children) == 1
    )


def _images_below(layout: Layout, index: ImageIndex) -> list[IndexChild]:
    """What the index leads to, without attestations and artifacts; what is absent counts as an
    image.
    """
    leaves = find_leaves(layout, index, tolerant=True).children
    return [child for child in leaves if child.may_be_image and not _is_artifact(layout, child)]


def _is_artifact(layout: Layout, child: IndexChild) -> bool:
    digest = child.descriptor.digest
    if layout.files.find(blob_path(digest)) is None:
        return False
    found = parse_manifest(layout.read_manifest(digest), layout.name)
    return isinstance(found, ImageManifest) and not found.is_image


def _find_platform(layout: Layout, child: IndexChild) -> Platform | None:
    """The platform of an image, stated or in its config; None if unknown, and for one that is
    absent.
    """
    if child.platform is not None:
        return child.platform
    platform = image_platform(layout, child) if _is_there(layout, child) else None
    return None if platform == UNKNOWN else platform


def _stated_fields(image: Descriptor) -> Mapping[str, object]:
    stated = image.extra.get("platform")
    return stated if isinstance(stated, dict) else {}


def _name_of(image: Descriptor) -> str | None:
    name = image.annotations.get(REF_NAME)
    return name if isinstance(name, str) and name else None


def _unnamed(image: Descriptor) -> dict[str, object]:
    """The entry of an index without the annotations that name it in a layout."""
    entry = image.to_json()
    annotations = {key: image.annotations[key] for key in image.annotations if key != REF_NAME}
    entry.pop("annotations", None)
    return {**entry, "annotations": annotations} if annotations else entry


def _text(child: IndexChild) -> str:
    what = "attestation" if child.is_attestation else str(child.platform or "an image")
    return f"{what} ({short(child.descriptor.digest)})"
