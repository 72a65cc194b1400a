"""Conversion between the media types of Docker and OCI. No blob changes.

Some targets hold only OCI's, and all layers of an image must be of its manifest's family.
"""

from __future__ import annotations

from dataclasses import replace

from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, encode_json
from squashproxy.oci.mediatypes import Family

_TYPES = {
    mediatypes.DOCKER_MANIFEST: mediatypes.OCI_MANIFEST,
    mediatypes.DOCKER_INDEX: mediatypes.OCI_INDEX,
    mediatypes.DOCKER_LAYER: mediatypes.OCI_LAYER,
    mediatypes.DOCKER_LAYER_GZIP: mediatypes.OCI_LAYER_GZIP,
    mediatypes.DOCKER_LAYER_ZSTD: mediatypes.OCI_LAYER_ZSTD,
    mediatypes.DOCKER_FOREIGN_LAYER: mediatypes.OCI_FOREIGN_LAYER_GZIP,
    mediatypes.DOCKER_FOREIGN_LAYER_PLAIN: mediatypes.OCI_FOREIGN_LAYER,
}
_DOCKER_LAYERS = {
    new: old
    for old, new in _TYPES.items()
    if mediatypes.is_layer(old) or mediatypes.is_foreign(old)
}


def as_oci(manifest: ImageManifest) -> ImageManifest:
    """The same image with OCI's media types; unchanged where it has them. No blob changes.

    It MUST be an image: of what is none, nobody knows what its types should become.
    """
    if mediatypes.family_of(manifest.raw.media_type) is mediatypes.Family.OCI:
        return manifest
    config = replace(manifest.config, media_type=mediatypes.OCI_CONFIG)
    layers = tuple(map(_renamed, manifest.layers))
    document = {
        **manifest.document,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    raw = RawManifest(encode_json(document), mediatypes.OCI_MANIFEST)
    return ImageManifest(raw, document, config, layers)


def index_as_oci(index: ImageIndex) -> ImageIndex:
    """The same index with OCI's media types. Its children are not converted."""
    if mediatypes.family_of(index.raw.media_type) is mediatypes.Family.OCI:
        return index
    document = {**index.document, "mediaType": mediatypes.OCI_INDEX}
    raw = RawManifest(encode_json(document), mediatypes.OCI_INDEX)
    return ImageIndex(raw, document, index.children)


def layer_in(family: Family, layer: Descriptor) -> Descriptor:
    """The same layer with the media type of `family`; unchanged where that has none for it."""
    types = _TYPES if family is Family.OCI else _DOCKER_LAYERS
    return replace(layer, media_type=types.get(layer.media_type, layer.media_type))


def _renamed(descriptor: Descriptor) -> Descriptor:
    return replace(descriptor, media_type=_TYPES.get(descriptor.media_type, descriptor.media_type))
