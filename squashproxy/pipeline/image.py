"""One image of a source: its manifest together with its config."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.config import ImageConfig
from squashproxy.oci.manifest import ImageManifest
from squashproxy.oci.platform import UNKNOWN, Platform, other_system, platform_of
from squashproxy.transports.base import ImageSource
from squashproxy.transports.documents import read_config, short


@dataclass(frozen=True, slots=True)
class Listed:
    """What an index says of an image that it lists.

    `platform` is None where there is no index, or no platform in it. `left_out` are manifests in
    the index that the result lacks. `is_alone`: the result is the image without the index.
    """

    platform: Platform | None = None
    left_out: frozenset[Digest] = frozenset()
    is_alone: bool = False


NOT_LISTED = Listed()


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the source.

    `digest` is the digest in the source, even where `manifest` was converted to another family.
    `chooses_compression` is copied from the source (see ImageSource). `listed` is what the index
    says that lists the image.
    """

    name: str
    manifest: ImageManifest
    config: ImageConfig
    digest: Digest
    chooses_compression: bool
    listed: Listed = NOT_LISTED

    @property
    def platform(self) -> Platform:
        """The platform that the config states, completed by what its index states."""
        return platform_of(self.config.document, self.listed.platform or UNKNOWN)

    @property
    def listed_platform(self) -> Platform:
        """The platform by which its base is chosen from an index: the one that its own index
        states, since configs leave out variants, or else that of the config.
        """
        return self.listed.platform or self.config.platform

    @property
    def other_system(self) -> str | None:
        """The system that the image is for, where that is not Linux: its layers stay as they are.

        A Windows host merges the registry hives of all layers, so no layer hides those of another
        one. Nobody says what other systems do. None for Linux.
        """
        return self._system_with(self.listed.platform)

    @property
    def silence(self) -> str | None:
        """A warning where the image comes without the index that alone tells that it is not for
        Linux; None otherwise.
        """
        system = self.other_system
        if not self.listed.is_alone or system is None or self._system_with(None) is not None:
            return None
        return (
            f"only the index of {self.name} says that {short(self.digest)} is for {system}, and it "
            "does not go along, so the copy counts as an image for Linux; copy the whole index"
        )

    def _system_with(self, stated: Platform | None) -> str | None:
        types = [layer.media_type for layer in self.manifest.layers]
        return other_system(self.config.document, stated, types)


def read_image(
    source: ImageSource,
    manifest: ImageManifest,
    digest: Digest,
    listed: Listed = NOT_LISTED,
) -> Image:
    """Read the config of `manifest`, which the source calls `digest`."""
    config = read_config(source, manifest)
    return Image(source.name, manifest, config, digest, source.chooses_compression, listed)


def without_values(annotations: Mapping[str, str], gone: Collection[str]) -> dict[str, str]:
    """Annotations without those that name content which is gone, such as the SOCI index of an
    image.
    """
    return {key: value for key, value in annotations.items() if str(value) not in gone}


def why_unmerged(system: str) -> str:
    """Why layers for another system than Linux stay as they are, for people."""
    return (
        f"is for {system}, and only the layers of Linux images can be merged: those of other "
        "systems do more than hide files, as Windows merges the registry hives of all layers"
    )
