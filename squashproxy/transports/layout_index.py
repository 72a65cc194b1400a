"""Editing the `index.json` of a layout (OCI image specification, image-layout.md)."""

from __future__ import annotations

from collections.abc import Mapping

from squashproxy.oci.descriptor import Json
from squashproxy.oci.manifest import RawManifest
from squashproxy.oci.mediatypes import OCI_INDEX
from squashproxy.transports.layout import REF_NAME


def empty_index() -> Json:
    """An index without images."""
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def with_image(index: Json, manifest: RawManifest, annotations: Mapping[str, str]) -> Json:
    """The index with an image in place of the one with the same name, or without a name."""
    name = annotations.get(REF_NAME)
    entry = manifest.descriptor.to_json()
    if annotations:
        entry["annotations"] = dict(annotations)
    others = [other for other in index["manifests"] if _name_of(other) != name]
    return {**index, "manifests": [*others, entry]}


def _name_of(entry: Json) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None
