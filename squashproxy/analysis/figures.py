"""The figures of a plan, computed from the findings about an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from squashproxy.analysis.findings import Findings
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.pipeline.base import Base
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.results import LayerPlan, LayerRole, PlatformPlan
from squashproxy.pipeline.squash_layers import Squashed
from squashproxy.squash.layer import LayerCount


@dataclass(frozen=True, slots=True)
class Place:
    """Whether and where the target has a blob; None where there is no target.

    `mountable_from` is another repository of the target's registry that has it.
    """

    in_target: bool | None
    mountable_from: str | None


Placed = tuple[Descriptor, Place]
"""A blob that a copy would bring, and where the target has it."""


@dataclass(frozen=True, slots=True)
class ImageFigures:
    """Everything that was found out about one image.

    `layers` are its layers as a copy would bring them, base first; `config` is its new config.
    `counts` are the counts of the base layers that could be read, by number. They do not include
    what the merge itself read of the base.
    """

    image: Image
    base: Base
    squashed: Squashed
    layers: Sequence[Placed]
    config: Placed
    findings: Findings
    counts: Mapping[int, LayerCount]

    @property
    def plan(self) -> PlatformPlan:
        """All figures of one platform."""
        report, layers = self.squashed.report, self.image.manifest.layers
        kept, new = self._unchanged, self._new_size
        brought = [layer for layer, _ in self.layers]
        moved = self._movement()
        counts = [count for number in range(len(layers)) if (count := self._count(number))]
        unpacked = sum(count.unpacked for count in counts)
        hidden = sum(count.hidden_bytes for count in counts)
        layer = self.squashed.layer
        return PlatformPlan(
            platform=str(self.image.platform),
            source_digest=self.image.digest,
            base_layers=self.base.count,
            base_reason=self.base.reason,
            layers_before=len(layers),
            layers_after=kept + (layer is not None),
            compressed_before=_size(layers),
            compressed_after=_size(brought[:kept]) + new,
            estimated_after=_size(brought[:kept]) + self._estimate(),
            unpacked_before=report.unpacked,
            unpacked_after=layer.unpacked if layer else report.unpacked if self._is_kept else 0,
            hidden_bytes=report.hidden_bytes,
            total_unpacked=unpacked,
            total_hidden=hidden,
            efficiency=1 - hidden / unpacked if unpacked else 1.0,
            reused_bytes=moved.reused if moved else None,
            mountable_bytes=moved.mountable if moved else None,
            upload_bytes=moved.sent + new if moved else None,
            layers=tuple(self._layer(number) for number in range(len(layers))),
            largest_hidden=self.findings.largest.files,
            hidden_folders=self.findings.folders.listed,
            suspects=self.findings.suspects.listed,
            secrets=self.findings.suspects.secrets,
            fallbacks=report.fallbacks,
        )

    @property
    def _is_kept(self) -> bool:
        return self.squashed.is_kept

    @property
    def _unchanged(self) -> int:
        """The number of layers that stay unchanged: the base, or all where there is nothing to
        squash.
        """
        return len(self.layers) if self._is_kept else self.base.count

    @property
    def _new_size(self) -> int:
        return self.squashed.layer.descriptor.size if self.squashed.layer else 0

    def _movement(self) -> _Movement | None:
        """What happens to unchanged layers and to the config; None without a target."""
        if self.config[1].in_target is None:
            return None
        sizes = {"reused": 0, "mountable": 0, "sent": 0}
        seen: set[Digest] = set()
        for blob, place in (*self.layers[: self._unchanged], self.config):
            if is_foreign(blob.media_type):
                continue
            if place.in_target or blob.digest in seen:
                sizes["reused"] += blob.size
            else:
                sizes["mountable" if place.mountable_from else "sent"] += blob.size
            seen.add(blob.digest)
        return _Movement(**sizes)

    def _estimate(self) -> int:
        """The estimated size of the new layer: of each merged blob, the share of its tar that
        survives.
        """
        if self._is_kept:
            return 0
        size = 0
        for number, count in self.squashed.report.layers.items():
            if number >= self.base.count and count.unpacked:
                share = 1 - count.hidden_bytes / count.unpacked
                size += round(self.image.manifest.layers[number].size * share)
        return size

    def _count(self, number: int) -> LayerCount | None:
        counts = self.counts if number < self.base.count else self.squashed.report.layers
        return counts.get(number)

    def _layer(self, number: int) -> LayerPlan:
        layer, place = self.image.manifest.layers[number], self.layers[number][1]
        count = self._count(number)
        if number < self.base.count:
            role = LayerRole.BASE
        else:
            role = LayerRole.KEPT if number < self._unchanged else LayerRole.SQUASHED
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


@dataclass(frozen=True, slots=True)
class _Movement:
    """What a copy does with existing blobs; sizes in bytes."""

    reused: int
    mountable: int
    sent: int


def _size(blobs: Sequence[Descriptor]) -> int:
    return sum(blob.size for blob in blobs)
