"""Bringing layers of the source into the target as they are, compressed where it needs that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, compression_of
from squashproxy.pipeline.bases.base import Base
from squashproxy.pipeline.transfer.blob_copy import BlobCopier, CompressedLayer, TransferCount
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.reference import Repository
from squashproxy.transports.base import ImageSource


@dataclass(frozen=True, slots=True)
class BroughtLayers:
    """Layers on their way into the target; some may still be uploading."""

    parts: Sequence[Descriptor | CompressedLayer]

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers as the target has them. Valid only when the threads have ended."""
        return tuple(map(brought, self.parts))


def brought(part: Descriptor | CompressedLayer) -> Descriptor:
    """A layer as the target has it. Valid only when the threads have ended."""
    return part if isinstance(part, Descriptor) else part.written or part.plain


@dataclass(frozen=True, slots=True)
class LayerBringer:
    """Brings layers of `source` with a `blob_copier`.

    `compresses`: layers become gzip where their source has them uncompressed without having chosen
    so, since the target's would be otherwise.
    """

    blob_copier: BlobCopier
    source: ImageSource
    compresses: bool

    def bring_base(
        self, base: Base, threads: CopyThreads, transfer: TransferCount
    ) -> BroughtLayers:
        """Start to bring the layers of the base."""
        mounts = [] if base.repository is None else [base.repository]
        return BroughtLayers(
            [self.bring(layer, threads, transfer, mounts, base.source) for layer in base.layers]
        )

    def bring(
        self,
        layer: Descriptor,
        threads: CopyThreads,
        transfer: TransferCount,
        mounts: Sequence[Repository] = (),
        source: ImageSource | None = None,
    ) -> Descriptor | CompressedLayer:
        """Start to bring a layer; `mounts` are further repositories to mount it from.

        `source` is where the layer is, if not in the usual source.
        """
        place = source or self.source
        is_plain = compression_of(layer.media_type) is Compression.NONE
        if self.compresses and is_plain and not place.chooses_compression:
            return self.blob_copier.compress(layer, threads, transfer, place)
        self.blob_copier.bring([layer], threads, transfer, mounts, place)
        return layer
