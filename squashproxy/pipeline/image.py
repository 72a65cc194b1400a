"""One image of a source: its manifest together with its config."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.config import ImageConfig
from squashproxy.oci.manifest import ImageManifest
from squashproxy.oci.platform import Platform
from squashproxy.transports.base import ImageSource
from squashproxy.transports.documents import read_config


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the source.

    `digest` is the digest in the source, even where `manifest` was converted to another family.
    `chooses_compression` is copied from the source (see ImageSource).
    """

    name: str
    manifest: ImageManifest
    config: ImageConfig
    digest: Digest
    chooses_compression: bool

    @property
    def platform(self) -> Platform:
        """The platform that the config states."""
        return self.config.platform


def read_image(source: ImageSource, manifest: ImageManifest, digest: Digest) -> Image:
    """Read the config of `manifest`, which the source calls `digest`."""
    return Image(
        source.name, manifest, read_config(source, manifest), digest, source.chooses_compression
    )
