"""What was found out about an image, and the figures that a plan makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from squashproxy.oci.mediatypes import compression_of, is_foreign
from squashproxy.pipeline.base import Base, Image
from squashproxy.pipeline.findings import Findings
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import LayerPlan, PlatformPlan
from squashproxy.pipeline.squashing import packing_for
from squashproxy.squash.layer import LayerCount, MergeReport


@dataclass(frozen=True, slots=True)
class Place:
    """Where the target has a layer already; None where there is no target.

    `mountable_from` is a repository of the target's registry, of layers that are not `in_target`.
    """

    in_target: bool | None
    mountable_from: str | None


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge told, the bytes of tar that it gave, and the census below it.

    `base` holds, by number, the layers of the base that could be counted.
    """

    report: MergeReport
    unpacked_after: int
    base: Mapping[int, LayerCount]

    def count(self, number: int, kept: int) -> LayerCount | None:
        """What a layer holds; a merge may have looked into the base for something else."""
        return (self.base if number < kept else self.report.layers).get(number)


@dataclass(frozen=True, slots=True)
class Picture:
    """All that was found out about one image; `places` are those of its layers, base first."""

    image: Image
    base: Base
    merged: Merged
    findings: Findings
    places: Sequence[Place]
    options: CopyOptions

    @property
    def plan(self) -> PlatformPlan:
        """All figures of one platform."""
        report, layers = self.merged.report, self.image.manifest.layers
        kept = self._unchanged
        new = 0 if kept == len(layers) else self._estimate()
        has_target = all(place.in_target is not None for place in self.places)
        reused = self._sum(lambda place: bool(place.in_target))
        mountable = self._sum(lambda place: place.mountable_from is not None)
        pushed = self._sum(lambda _: True)
        base_size = sum(layer.size for layer in layers[:kept])
        counts = [count for number in range(len(layers)) if (count := self._count(number))]
        unpacked = sum(count.unpacked for count in counts)
        hidden = sum(count.hidden_bytes for count in counts)
        return PlatformPlan(
            platform=str(self.image.platform),
            source_digest=self.image.manifest.raw.digest,
            base_layers=self.base.count,
            base_reason=self.base.reason,
            layers_before=len(layers),
            layers_after=kept + (kept < len(layers) and not report.empty),
            compressed_before=sum(layer.size for layer in layers),
            estimated_after=base_size + new,
            unpacked_before=report.unpacked,
            unpacked_after=self.merged.unpacked_after,
            hidden_bytes=report.hidden_bytes,
            total_unpacked=unpacked,
            total_hidden=hidden,
            efficiency=1 - hidden / unpacked if unpacked else 1.0,
            reused_bytes=reused if has_target else None,
            mountable_bytes=mountable if has_target else None,
            upload_estimate=pushed - reused - mountable + new if has_target else None,
            layers=tuple(self._layer(number) for number in range(len(layers))),
            largest_hidden=self.findings.largest.files,
            hidden_folders=self.findings.folders.listed,
            suspects=self.findings.suspects.listed,
            secrets=self.findings.suspects.secrets,
            fallbacks=report.fallbacks,
        )

    @property
    def _unchanged(self) -> int:
        """How many layers stay as they are: the base, or all where nothing is to be squashed."""
        count = len(self.image.manifest.layers)
        above = self.image.manifest.layers[self.base.count :]
        if len(above) == 1 and not self.merged.report.touched and not self.merged.report.empty:
            packing = packing_for(above, self.options.compression)
            if compression_of(above[0].media_type) is packing:
                return count
        return self.base.count

    def _sum(self, counts: Callable[[Place], bool]) -> int:
        """The size of the unchanged layers whose place counts; foreign ones are never pushed."""
        layers = self.image.manifest.layers[: self._unchanged]
        return sum(
            layer.size
            for layer, place in zip(layers, self.places, strict=False)
            if counts(place) and not is_foreign(layer.media_type)
        )

    def _estimate(self) -> int:
        """The new layer's size: of each merged blob, the share of its tar that survives."""
        size = 0
        for number, count in self.merged.report.layers.items():
            if number >= self.base.count and count.unpacked:
                share = 1 - count.hidden_bytes / count.unpacked
                size += round(self.image.manifest.layers[number].size * share)
        return size

    def _count(self, number: int) -> LayerCount | None:
        return self.merged.count(number, self.base.count)

    def _layer(self, number: int) -> LayerPlan:
        layer, place = self.image.manifest.layers[number], self.places[number]
        count = self._count(number)
        if number < self.base.count:
            role = "base"
        else:
            role = "kept" if number < self._unchanged else "squashed"
        return LayerPlan(
            digest=layer.digest,
            media_type=layer.media_type,
            role=role,
            created_by=self.image.config.created_by(number),
            compressed=layer.size,
            unpacked=count.unpacked if count else None,
            entries=count.entries if count else None,
            hidden_bytes=count.hidden_bytes if count else None,
            hidden_entries=count.hidden_entries if count else None,
            in_target=place.in_target,
            mountable_from=place.mountable_from,
        )
