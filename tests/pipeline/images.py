"""The image of most tests: two layers of a base, two of an application."""

from __future__ import annotations

import random
from collections.abc import Mapping

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
