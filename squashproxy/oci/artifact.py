"""Artifacts: manifests that hold no image (OCI image specification 1.1, manifest.md, guidelines for
artifact usage).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from squashproxy.digest import digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import RawManifest, encode_json

EMPTY = encode_json({})
"""The blob of a config that says nothing."""

EMPTY_CONFIG = Descriptor("application/vnd.oci.empty.v1+json", digest_of(EMPTY), len(EMPTY))

IN_TOTO = "application/vnd.in-toto+json"
"""The media type of an in-toto statement, alone and as the payload of an envelope."""


def artifact_manifest(
    artifact_type: str,
    layers: Sequence[Descriptor],
    *,
    config: Descriptor = EMPTY_CONFIG,
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> RawManifest:
    """The manifest of an artifact, perhaps a referrer of `subject`."""
    document: Json = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    if subject is not None:
        document["subject"] = subject.to_json()
    if annotations:
        document["annotations"] = dict(annotations)
    return RawManifest(encode_json(document), mediatypes.OCI_MANIFEST)
