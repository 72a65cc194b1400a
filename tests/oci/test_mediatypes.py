"""Media types: families, compressions, and layers that cannot be merged."""

from __future__ import annotations

import pytest

from squashproxy.oci import mediatypes
from squashproxy.oci.mediatypes import (
    Compression,
    Family,
    compression_of,
    family_of,
    is_encrypted,
    is_foreign,
    is_layer,
    layer_type,
)

DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
OCI = "application/vnd.oci.image.layer.v1.tar"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"


@pytest.mark.parametrize(
    ("media_type", "family"),
    [
        (mediatypes.OCI_MANIFEST, Family.OCI),
        (mediatypes.OCI_INDEX, Family.OCI),
        (mediatypes.DOCKER_MANIFEST, Family.DOCKER),
        (mediatypes.DOCKER_INDEX, Family.DOCKER),
    ],
)
def test_families(media_type: str, family: Family) -> None:
    assert family_of(media_type) is family


LAYERS = [
    (Family.DOCKER, Compression.NONE, DOCKER),
    (Family.DOCKER, Compression.GZIP, f"{DOCKER}.gzip"),
    (Family.DOCKER, Compression.ZSTD, f"{DOCKER}.zstd"),
    (Family.OCI, Compression.NONE, OCI),
    (Family.OCI, Compression.GZIP, f"{OCI}+gzip"),
    (Family.OCI, Compression.ZSTD, f"{OCI}+zstd"),
]


@pytest.mark.parametrize(("family", "compression", "media_type"), LAYERS)
def test_layers(family: Family, compression: Compression, media_type: str) -> None:
    assert layer_type(family, compression) == media_type
    assert compression_of(media_type) is compression
    assert is_layer(media_type)
    assert not is_foreign(media_type)
    assert not is_encrypted(media_type)


def test_every_family_has_every_compression() -> None:
    assert {(family, compression) for family, compression, _ in LAYERS} == {
        (family, compression) for family in Family for compression in Compression
    }


@pytest.mark.parametrize(
    "media_type",
    [
        FOREIGN,
        f"{FOREIGN}.gzip",
        NONDISTRIBUTABLE,
        f"{NONDISTRIBUTABLE}+gzip",
        f"{NONDISTRIBUTABLE}+zstd",
    ],
)
def test_foreign_layers(media_type: str) -> None:
    assert is_foreign(media_type)
    assert not is_layer(media_type)


@pytest.mark.parametrize("media_type", [f"{OCI}+encrypted", f"{OCI}+gzip+encrypted"])
def test_encrypted_layers(media_type: str) -> None:
    assert is_encrypted(media_type)
    assert not is_layer(media_type)


@pytest.mark.parametrize("media_type", ["", "application/octet-stream", mediatypes.OCI_CONFIG])
def test_what_is_no_layer(media_type: str) -> None:
    assert not is_layer(media_type)
    assert not is_foreign(media_type)
    assert not is_encrypted(media_type)
    assert compression_of(media_type) is Compression.GZIP, "the most likely"


def test_no_type_means_two_things() -> None:
    groups = (
        {*mediatypes.MANIFESTS},
        {*mediatypes.INDEXES},
        {*mediatypes.SCHEMA1},
        {*mediatypes.CONFIGS},
    )
    assert len(set().union(*groups)) == sum(map(len, groups)) == 8
