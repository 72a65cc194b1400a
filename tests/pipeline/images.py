"""The image of most tests: two layers of a base, two of an application."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from squashproxy.digest import digest_of
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform
from squashproxy.testing import AMD64, BuiltImage, ImageBuilder, LayerBuilder, Packing

ARM64 = Platform("linux", "arm64")
S390X = Platform("linux", "s390x")
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
SOURCE_DIGEST = "dev.squashproxy.source.digest"
OPTIONS = "dev.squashproxy.options"


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no codec makes smaller; the same each time."""
    return random.Random(seed).randbytes(size)


OS = LayerBuilder().directory("etc").file("etc/os-release", b"one\n").directory("usr")
RUNTIME = LayerBuilder().directory("usr").file("usr/runtime", noise(3000))
APP = (
    LayerBuilder()
    .directory("app", mode=0o750, uid=7, gid=8)
    .file("app/large", noise(60_000))
    .file("app/one", b"1" * 3000, xattrs={"user.note": b"kept"})
    .hardlink("app/two", "app/one")
)
TOP = (
    LayerBuilder()
    .directory("app", mode=0o755, uid=7, gid=8)
    .whiteout("app/large")
    .file("app/new", b"new", mtime=1_700_000_001)
    .directory("etc")
    .file("etc/os-release", b"two\n")
)
LAYERS = (OS, RUNTIME, APP, TOP)
HIDDEN_APP = 512 + (512 + 60_416)
"""Of APP, what TOP hides: the entry of `app`, and `app/large` padded to whole blocks."""


def app(
    family: Family = Family.OCI,
    *,
    platform: Platform = AMD64,
    annotations: Mapping[str, str] | None = None,
    packing: Packing = Packing.GZIP,
) -> BuiltImage:
    """The image of `LAYERS`."""
    builder = ImageBuilder(
        family, platform=platform, annotations=annotations, config={"Cmd": ["/app/one"]}
    )
    for layer in LAYERS:
        builder.layer(layer, packing)
    return builder.build()


def base(family: Family = Family.OCI, packing: Packing = Packing.GZIP) -> BuiltImage:
    """The image that `app` was built on."""
    return ImageBuilder(family).layer(OS, packing).layer(RUNTIME, packing).build()


def other() -> BuiltImage:
    """An image that shares nothing with the others."""
    return ImageBuilder().layer(LayerBuilder().file("other", b"other")).build()


def image_of(*layers: LayerBuilder | bytes, family: Family = Family.OCI) -> BuiltImage:
    """An image of some layers, packed with gzip."""
    builder = ImageBuilder(family)
    for layer in layers:
        builder.layer(layer)
    return builder.build()


BARE: dict[str, tuple[Any, Any]] = {
    "empty lists": ({"type": "layers", "diff_ids": []}, []),
    "an empty rootfs": ({}, []),
    "no rootfs": (None, []),
    "no diff IDs, of a type": ({"type": "layers"}, []),
    "null as diff IDs": ({"type": "layers", "diff_ids": None}, []),
    "null as layers": ({}, None),
}
"""The `rootfs` and `layers` of images without layers. None as `rootfs` leaves it out."""


def without_layers(shape: str, family: Family = Family.OCI) -> BuiltImage:
    """An image without layers, in one of the shapes of BARE."""
    rootfs, layers = BARE[shape]
    built = ImageBuilder(family, config={"Env": ["A=1"]}).build()
    config = json.loads(built.blobs[built.config.digest])
    del config["rootfs"]
    if rootfs is not None:
        config["rootfs"] = rootfs
    data = encode_json(config)
    descriptor = replace(built.config, digest=digest_of(data), size=len(data))
    document = {**json.loads(built.manifest.data), "config": descriptor.to_json(), "layers": layers}
    raw = RawManifest(encode_json(document), built.manifest.media_type)
    return replace(built, manifest=raw, config=descriptor, blobs={descriptor.digest: data})
