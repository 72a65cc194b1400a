"""Images for Windows and other systems whose layers are never merged."""

from __future__ import annotations

import json
from typing import Any

from squashproxy.digest import digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import encode_json
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform
from squashproxy.testing import BuiltImage, ImageBuilder, LayerBuilder

WINDOWS = Platform("windows", "amd64")


def layer(name: str) -> LayerBuilder:
    """A layer as Windows has it, with a registry hive that each of them has."""
    return (
        LayerBuilder()
        .directory("Files")
        .file(f"Files/{name}", name.encode() * 100)
        .directory("Hives")
        .file("Hives/Software_Delta", f"delta of {name}".encode() * 500)
    )


def windows(
    platform: Platform = WINDOWS,
    family: Family = Family.OCI,
    system: str | None = "as the platform",
) -> BuiltImage:
    """An image of a base and two layers above it; `system` is what its config states."""
    builder = ImageBuilder(family, platform=platform)
    for name in ("base", "app", "fix"):
        builder.layer(layer(name))
    image = builder.build()
    return image if system == "as the platform" else stating(image, os=system)


def stating(image: BuiltImage, **fields: Any) -> BuiltImage:
    """The image with other fields in its config; None takes one away."""
    config = {**json.loads(image.blobs[image.config.digest]), **fields}
    data = encode_json({key: value for key, value in config.items() if value is not None})
    return with_config(image, data)


def with_config(
    image: BuiltImage, data: bytes, media_type: str | None = None, **fields: Any
) -> BuiltImage:
    """The image with another config, and other fields in its manifest."""
    kind = image.config.media_type if media_type is None else media_type
    config = Descriptor(kind, digest_of(data), len(data))
    document = {**json.loads(image.manifest.data), "config": config.to_json(), **fields}
    blobs = {digest: blob for digest, blob in image.blobs.items() if digest != image.config.digest}
    return BuiltImage(
        type(image.manifest)(encode_json(document), image.manifest.media_type),
        config,
        image.layers,
        image.diff_ids,
        {**blobs, config.digest: data},
        image.platform,
    )
