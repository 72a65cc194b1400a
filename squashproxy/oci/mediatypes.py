"""Media types of the two families, Docker's and OCI's."""

from __future__ import annotations

from enum import Enum

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_FOREIGN_LAYER_PLAIN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)
SCHEMA1 = (DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED)
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
OLD_CONFIGS = frozenset({"application/octet-stream", "application/json", "text/html", ""})
"""What old clients and registries called the config of a Docker schema 2 image, which docker still
pulls (moby, daemon/internal/distribution/registry.go; distribution#1621, moby#22378, moby#30083).
"""
_OTHER_MANIFESTS = (
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.cncf.oras.artifact.manifest.v1+json",
)
_MANIFEST_TYPES = frozenset({*MANIFESTS, *INDEXES, *SCHEMA1, *_OTHER_MANIFESTS, ""})

OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = OCI_FOREIGN_LAYER + "+gzip"
_FOREIGN = frozenset(
    {
        DOCKER_FOREIGN_LAYER,
        DOCKER_FOREIGN_LAYER_PLAIN,
        OCI_FOREIGN_LAYER,
        OCI_FOREIGN_LAYER_GZIP,
        OCI_FOREIGN_LAYER + "+zstd",
    }
)
_LAYERS = frozenset(
    {
        DOCKER_LAYER,
        DOCKER_LAYER_GZIP,
        DOCKER_LAYER_ZSTD,
        OCI_LAYER,
        OCI_LAYER_GZIP,
        OCI_LAYER_ZSTD,
    }
)


class Family(Enum):
    """The family of a manifest's media types. The result stays in the source's family."""

    DOCKER = "docker"
    OCI = "oci"


class Compression(Enum):
    """How a layer's tar is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_LAYER_TYPE = {
    (Family.DOCKER, Compression.NONE): DOCKER_LAYER,
    (Family.DOCKER, Compression.GZIP): DOCKER_LAYER_GZIP,
    (Family.DOCKER, Compression.ZSTD): DOCKER_LAYER_ZSTD,
    (Family.OCI, Compression.NONE): OCI_LAYER,
    (Family.OCI, Compression.GZIP): OCI_LAYER_GZIP,
    (Family.OCI, Compression.ZSTD): OCI_LAYER_ZSTD,
}
_COMPRESSION = {media_type: kind for (_, kind), media_type in _LAYER_TYPE.items()}


def family_of(media_type: str) -> Family:
    """The family of a manifest's or index's media type."""
    return Family.DOCKER if media_type in (DOCKER_MANIFEST, DOCKER_INDEX) else Family.OCI


def family_of_layer(media_type: str) -> Family:
    """The family of a layer's media type."""
    return Family.DOCKER if media_type.startswith("application/vnd.docker.") else Family.OCI


def layer_type(family: Family, compression: Compression) -> str:
    """The media type of a layer in `family` with `compression`."""
    return _LAYER_TYPE[family, compression]


def compression_of(media_type: str) -> Compression:
    """The compression that a layer's media type states; gzip for unknown types."""
    return _COMPRESSION.get(media_type, Compression.GZIP)


def is_manifest(media_type: str) -> bool:
    """Whether what an index lists with this type is a manifest, and not a blob.

    BuildKit lists the blobs of a cache in an index (buildkit, cache/remotecache/v1/types/doc.go).
    """
    return media_type in _MANIFEST_TYPES


def is_layer(media_type: str) -> bool:
    """Whether a blob of this type is a layer that can be squashed."""
    return media_type in _LAYERS


def is_foreign(media_type: str) -> bool:
    """Whether a layer may not be distributed. Such a layer always counts as base."""
    return media_type in _FOREIGN


def is_encrypted(media_type: str) -> bool:
    """Whether a layer is encrypted (ocicrypt)."""
    return media_type.endswith("+encrypted")
