"""Indexes that hold other things than runnable images, all present."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from squashproxy.digest import Digest, digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.oci.mediatypes import Family
from squashproxy.testing import BuiltImage, BuiltIndex, artifact_manifest
from squashproxy.testing.images import PushTarget

CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
SOCI = "application/vnd.amazon.soci.index.v2+json"
EMPTY = Descriptor("application/vnd.oci.empty.v1+json", digest_of(b"{}"), 2)


@dataclass(frozen=True, slots=True)
class Whole:
    """A manifest, and all that has to be pushed before it."""

    manifest: RawManifest
    blobs: tuple[bytes, ...] = ()
    below: tuple[Any, ...] = field(default=())
    """What it lists: anything that can be pushed."""

    @property
    def digest(self) -> Digest:
        return self.manifest.digest

    def push(self, target: PushTarget, repo: str, tag: str | None = None) -> Digest:
        for each in self.below:
            each.push(target, repo)
        for data in self.blobs:
            target.put_blob(repo, data)
        return target.put_manifest(repo, tag, self.manifest.data, self.manifest.media_type)


def listing(
    children: Iterable[dict[str, Any] | Whole | BuiltImage | BuiltIndex],
    family: Family = Family.OCI,
    blobs: Iterable[bytes] = (),
    **fields: Any,
) -> Whole:
    """An index of what can be pushed, or of entries as they are."""
    kind = mediatypes.OCI_INDEX if family is Family.OCI else mediatypes.DOCKER_INDEX
    listed = list(children)
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "manifests": [each if isinstance(each, dict) else entry(each) for each in listed],
        **fields,
    }
    below = tuple(each for each in listed if not isinstance(each, dict))
    return Whole(RawManifest(encode_json(document), kind), tuple(blobs), below)


def entry(child: Whole | BuiltImage | BuiltIndex, **fields: Any) -> dict[str, Any]:
    """The entry of a manifest in an index; that of an image with its platform."""
    document: dict[str, Any] = child.manifest.descriptor.to_json()
    if isinstance(child, BuiltImage):
        parts = {"os": child.platform.os, "architecture": child.platform.architecture}
        variant = child.platform.variant
        document["platform"] = {**parts, "variant": variant} if variant else parts
    return {**document, **fields}


def named(index: Whole | BuiltIndex, platform: str) -> dict[str, Any]:
    """The entry of an inner index, with a platform."""
    system, architecture = platform.split("/")
    return entry(index, platform={"os": system, "architecture": architecture})


def build_cache(family: Family = Family.OCI) -> Whole:
    """A cache as BuildKit pushes it: its layers and its config, all of them blobs."""
    layer = mediatypes.layer_type(family, mediatypes.Compression.GZIP)
    kinds = {b"first cached layer": layer, b"second": layer, b'{"layers":[]}': CACHE_CONFIG}
    children = [
        Descriptor(kind, digest_of(data), len(data)).to_json() for data, kind in kinds.items()
    ]
    return listing(children, family, tuple(kinds))


def artifact(kind: str = SOCI, content: bytes = b"soci", **fields: Any) -> Whole:
    """An OCI artifact."""
    blob = Descriptor("application/octet-stream", digest_of(content), len(content))
    raw = artifact_manifest(kind, [blob], config=EMPTY)
    document = {**json.loads(raw.data), **fields}
    return Whole(RawManifest(encode_json(document), raw.media_type), (b"{}", content))
