"""The figures of a copied image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.bases.base import shares_of_base
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import LayerAction, LayerCopy, NewLayerCopy, PlatformCopy
from squashproxy.pipeline.rewrite.new_layer import NewLayer
from squashproxy.pipeline.rewrite.prune_layers import PrunedImage
from squashproxy.pipeline.rewrite.squash_layers import Squashed
from squashproxy.pipeline.transfer.blob_copy import TransferCount


@dataclass(frozen=True, slots=True)
class CopiedImage:
    """The manifest to publish, whose blobs are all in the target, and the report of the copy."""

    manifest: RawManifest
    copy: PlatformCopy


def finished(raw: RawManifest, figures: PlatformCopy, transfer: TransferCount) -> CopiedImage:
    """The copied image, once its transfers have ended."""
    copy = replace(
        figures,
        digest=raw.digest,
        uploaded_bytes=transfer.uploaded_bytes,
        reused_bytes=transfer.reused_bytes,
        mounted_blobs=transfer.mounted_blobs,
        fetched_bytes=transfer.fetched_bytes,
    )
    return CopiedImage(raw, copy)


@dataclass(frozen=True, slots=True)
class Subject:
    """The image that the figures are about: its layers, of which the first `kept` are the base."""

    descriptors: Sequence[Descriptor]
    digest: Digest
    platform: str
    kept: int
    mode: Mode

    def unchanged(
        self, base: Sequence[Descriptor], above: Sequence[Descriptor] = ()
    ) -> PlatformCopy:
        """The figures of an image of which nothing is squashed.

        `base` are the layers of the base in the target, `above` those above it.
        """
        kept = tuple(
            LayerCopy(layer.digest, layer.digest, LayerAction.KEPT, layer.size, layer.size)
            for layer in above
        )
        figures = self.of_layers((*self._base(base), *kept))
        return replace(figures, layers_after=len(base) + len(above))

    def _base(self, brought: Sequence[Descriptor]) -> tuple[LayerCopy, ...]:
        """The layers of the base, which are in the target as `brought`."""
        shares = shares_of_base(brought, self.kept)
        return tuple(
            LayerCopy(layer.digest, share.digest, LayerAction.BASE, layer.size, share.size)
            for layer, share in zip(self.descriptors[: self.kept], shares, strict=True)
        )

    def squashed(self, squashed: Squashed, base: Sequence[Descriptor]) -> PlatformCopy:
        """The figures after a squash; `base` are the layers that stay, in the target."""
        report, new = squashed.report, squashed.layers
        if squashed.is_kept:
            kept = self.unchanged(base, self.descriptors[self.kept :])
            read = report.unpacked
            return replace(
                kept, unpacked_before=read, unpacked_after=read, fallbacks=report.fallbacks
            )
        packed = sum(layer.descriptor.size for layer in new)
        above = tuple(
            LayerCopy(
                descriptor.digest,
                new[0].descriptor.digest if new else None,
                LayerAction.SQUASHED,
                descriptor.size,
                packed if number == self.kept else 0,
                report.layers[number].hidden_bytes,
            )
            for number, descriptor in enumerate(self.descriptors)
            if number >= self.kept
        )
        return replace(
            self.of_layers((*self._base(base), *above)),
            layers_after=len(base) + len(new),
            unpacked_before=report.unpacked,
            unpacked_after=sum(layer.unpacked for layer in new),
            spliced_bytes=sum(layer.spliced for layer in new),
            reencoded_bytes=sum(layer.reencoded for layer in new),
            fallbacks=report.fallbacks,
            new_layers=_written(new),
        )

    def pruned(self, pruned: PrunedImage) -> PlatformCopy:
        """The figures after pruning."""
        counts = pruned.found.counts
        above = []
        for number, descriptor in enumerate(self.descriptors[self.kept :], self.kept):
            there = pruned.descriptor(number)
            above.append(
                LayerCopy(
                    descriptor.digest,
                    there.digest if there else None,
                    pruned.above[number].action,
                    descriptor.size,
                    there.size if there else 0,
                    counts[number].hidden_bytes,
                )
            )
        above_base = [pruned.above[number] for number in sorted(pruned.above)]
        new = [layer.new for layer in above_base if layer.new is not None]
        unpacked = sum(count.unpacked for count in counts.values())
        return replace(
            self.of_layers((*self._base(pruned.base), *above)),
            layers_after=len(pruned.layers),
            unpacked_before=unpacked,
            unpacked_after=unpacked - pruned.lost,
            spliced_bytes=sum(layer.spliced for layer in new),
            reencoded_bytes=sum(layer.reencoded for layer in new),
            new_layers=_written(new),
        )

    def of_layers(self, layers: tuple[LayerCopy, ...]) -> PlatformCopy:
        """The figures that follow from those of the layers alone; nothing was unpacked."""
        return PlatformCopy(
            platform=self.platform,
            source_digest=self.digest,
            digest=self.digest,
            layers_before=len(layers),
            layers_after=sum(layer.digest is not None for layer in layers),
            base_layers=self.kept,
            compressed_before=sum(layer.packed_before for layer in layers),
            compressed_after=sum(layer.packed_after for layer in layers),
            unpacked_before=0,
            unpacked_after=0,
            hidden_bytes=sum(layer.hidden_bytes for layer in layers),
            uploaded_bytes=0,
            reused_bytes=0,
            mounted_blobs=0,
            spliced_bytes=0,
            reencoded_bytes=0,
            fallbacks=0,
            mode=self.mode,
            fetched_bytes=0,
            layers=layers,
        )


def _written(layers: Sequence[NewLayer]) -> tuple[NewLayerCopy, ...]:
    return tuple(
        NewLayerCopy(layer.descriptor.digest, layer.descriptor.size, layer.unpacked)
        for layer in layers
    )
