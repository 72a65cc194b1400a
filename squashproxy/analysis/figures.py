"""The figures of a plan, computed from what was found out about an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from squashproxy.analysis.findings import Findings
from squashproxy.analysis.outcome import Outcome
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.pipeline.base import Base
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import LayerPlan, LayerRole, PlatformPlan
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
    `counts` are the counts of the base layers that could be read, by number. What a merge looked up
    in the base for itself is not included.
    """

    image: Image
    base: Base
    mode: Mode
    outcome: Outcome
    layers: Sequence[Placed]
    config: Placed
    findings: Findings
    counts: Mapping[int, LayerCount]

    @property
    def plan(self) -> PlatformPlan:
        """All figures of one platform."""
        outcome, layers = self.outcome, self.image.manifest.layers
        kept, new = self._staying_size, sum(outcome.sizes.values())
        moved = self._movement()
        counts = [count for number in range(len(layers)) if (count := self._count(number))]
        unpacked = sum(count.unpacked for count in counts)
        hidden = sum(count.hidden_bytes for count in counts)
        upload = moved.sent + new if moved else None
        return PlatformPlan(
            platform=str(self.image.platform),
            source_digest=self.image.digest,
            base_layers=self.base.count,
            base_reason=self.base.reason,
            layers_before=len(layers),
            layers_after=outcome.layers_after,
            compressed_before=_size(layers),
            compressed_after=kept + new,
            estimated_after=kept + self._estimate(),
            unpacked_before=outcome.unpacked,
            unpacked_after=outcome.unpacked_after,
            hidden_bytes=sum(count.hidden_bytes for count in outcome.counts.values()),
            total_unpacked=unpacked,
            total_hidden=hidden,
            efficiency=1 - hidden / unpacked if unpacked else 1.0,
            reused_bytes=moved.reused if moved else None,
            mountable_bytes=moved.mountable if moved else None,
            upload_bytes=upload,
            layers=tuple(self._layer(number) for number in range(len(layers))),
            largest_hidden=self.findings.largest.files,
            hidden_folders=self.findings.folders.listed,
            suspects=self.findings.suspects.listed,
            secrets=self.findings.suspects.secrets,
            fallbacks=outcome.fallbacks,
            mode=self.mode,
        )

    @property
    def _staying_size(self) -> int:
        return sum(self.layers[number][0].size for number in self.outcome.staying)

    def _movement(self) -> _Movement | None:
        """What happens to unchanged layers and to the config; None without a target."""
        if self.config[1].in_target is None:
            return None
        sizes = {"reused": 0, "mountable": 0, "sent": 0}
        seen: set[Digest] = set()
        staying = [self.layers[number] for number in self.outcome.staying]
        for blob, place in (*staying, self.config):
            if is_foreign(blob.media_type):
                continue
            if place.in_target or blob.digest in seen:
                sizes["reused"] += blob.size
            else:
                sizes["mountable" if place.mountable_from else "sent"] += blob.size
            seen.add(blob.digest)
        return _Movement(**sizes)

    def _estimate(self) -> int:
        """The estimated size of the new layers: of each blob that they replace, the share of its
        tar that survives.
        """
        size = 0
        for number, role in enumerate(self.outcome.roles):
            count = self.outcome.counts.get(number)
            if role in (LayerRole.SQUASHED, LayerRole.PRUNED) and count and count.unpacked:
                share = 1 - count.hidden_bytes / count.unpacked
                size += round(self.image.manifest.layers[number].size * share)
        return size

    def _count(self, number: int) -> LayerCount | None:
        counts = self.counts if number < self.base.count else self.outcome.counts
        return counts.get(number)

    def _layer(self, number: int) -> LayerPlan:
        layer, (brought, place) = self.image.manifest.layers[number], self.layers[number]
        count = self._count(number)
        role = self.outcome.roles[number]
        after: int | None = brought.size
        if role is LayerRole.SQUASHED:
            after = None
        elif role in (LayerRole.PRUNED, LayerRole.DROPPED):
            after = self.outcome.sizes.get(number, 0)
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
            compressed_after=after,
        )


@dataclass(frozen=True, slots=True)
class _Movement:
    """What a copy does with existing blobs; sizes in bytes."""

    reused: int
    mountable: int
    sent: int


def _size(blobs: Sequence[Descriptor]) -> int:
    return sum(blob.size for blob in blobs)
