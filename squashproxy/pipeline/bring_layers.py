"""Bringing layers of the source into the target as they are, compressed where it needs that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, compression_of
from squashproxy.pipeline.base import Base
from squashproxy.pipeline.blob_copy import BlobCopier, CompressedLayer, TransferCount
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.threads import CopyThreads
from squashproxy.reference import Repository


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
    """Brings layers with a `blob_copier`.

    `compresses_plain`: uncompressed layers become gzip, since the target's would be otherwise.
    """

    blob_copier: BlobCopier
    compresses_plain: bool

    def bring_base(
        self, image: Image, base: Base, threads: CopyThreads, transfer: TransferCount
    ) -> BroughtLayers:
        """Start to bring the layers of the base."""
        mounts = [] if base.repository is None else [base.repository]
        if base.compressed_layers:
            self.blob_copier.bring(base.compressed_layers, threads, transfer, mounts, base.source)
            return BroughtLayers(base.compressed_layers)
        layers = image.manifest.layers[: base.count]
        return BroughtLayers([self.bring(layer, threads, transfer, mounts) for layer in layers])

    def bring(
        self,
        layer: Descriptor,
        threads: CopyThreads,
        transfer: TransferCount,
        mounts: Sequence[Repository] = (),
    ) -> Descriptor | CompressedLayer:
        """Start to bring a layer; `mounts` are further repositories to mount it from."""
        if self.compresses_plain and compression_of(layer.media_type) is Compression.NONE:
            return self.blob_copier.compress(layer, threads, transfer)
        self.blob_copier.bring([layer], threads, transfer, mounts)
        return layer
