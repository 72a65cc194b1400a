"""Documents for the tests of manifests: whole ones, to be changed where a case says so."""

from __future__ import annotations

import json
from typing import Any

from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest

WHERE = "h.io/app:1"
Json = dict[str, Any]


def descriptor(media_type: str, content: bytes = b"content", **extra: Any) -> Json:
    """A descriptor of some content."""
    document = {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
    return {**document, **extra}


def oci_manifest(**changes: Any) -> Json:
    """An OCI manifest with two layers; a change to None takes a field away."""
    layers = [
        descriptor(mediatypes.OCI_LAYER_GZIP, b"base"),
        descriptor(mediatypes.OCI_LAYER_ZSTD, b"top", annotations={"k": "v"}),
    ]
    return _changed(
        {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_MANIFEST,
            "config": descriptor(mediatypes.OCI_CONFIG, b"config"),
            "layers": layers,
        },
        changes,
    )


def docker_manifest(**changes: Any) -> Json:
    """A Docker schema 2 manifest with one layer."""
    return _changed(
        {
            "schemaVersion": 2,
            "mediaType": mediatypes.DOCKER_MANIFEST,
            "config": descriptor(mediatypes.DOCKER_CONFIG, b"config"),
            "layers": [descriptor(mediatypes.DOCKER_LAYER_GZIP, b"base")],
        },
        changes,
    )


def oci_index(*children: Json, **changes: Any) -> Json:
    """An OCI index."""
    return _changed(
        {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": list(children)},
        changes,
    )


def docker_index(*children: Json, **changes: Any) -> Json:
    """A Docker manifest list."""
    return _changed(
        {"schemaVersion": 2, "mediaType": mediatypes.DOCKER_INDEX, "manifests": list(children)},
        changes,
    )


def raw(document: object, media_type: str = mediatypes.OCI_MANIFEST) -> RawManifest:
    """A document as it comes from a registry."""
    return RawManifest(json.dumps(document).encode(), media_type)


def parsed_manifest(document: object, media_type: str = mediatypes.OCI_MANIFEST) -> ImageManifest:
    """A document that is read as an image's manifest."""
    manifest = parse_manifest(raw(document, media_type), WHERE)
    assert isinstance(manifest, ImageManifest)
    return manifest


def parsed_index(document: object, media_type: str = mediatypes.OCI_INDEX) -> ImageIndex:
    """A document that is read as an index."""
    index = parse_manifest(raw(document, media_type), WHERE)
    assert isinstance(index, ImageIndex)
    return index


def described(media_type: str, content: bytes) -> Descriptor:
    """A descriptor as the pipeline makes one."""
    return Descriptor(media_type, digest_of(content), len(content))


def _changed(document: Json, changes: Json) -> Json:
    return {key: value for key, value in {**document, **changes}.items() if value is not None}
