"""The figures of a plan, computed from the findings about an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from squashproxy.analysis.findings import Findings
from squashproxy.analysis.outcome import Outcome
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.pipeline.bases.base import Base, shares_of_base
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

    `kept` are the layers of the base as a copy would bring them, `above` the image's own above the
    base; `config` is its new config. `counts` are the counts of the base layers that could be read,
    by number. They do not include what the merge itself read of the base.
    """

    image: Image
    base: Base
    mode: Mode
    outcome: Outcome
    kept: Sequence[Placed]
    above: Sequence[Placed]
    config: Placed
    findings: Findings
    counts: Mapping[int, LayerCount]

    @property
    def plan(self) -> PlatformPlan:
        """All figures of one platform."""
        outcome, layers = self.outcome, self.image.manifest.layers
        staying = _size([blob for blob, _ in self._staying])
        new = sum(outcome.sizes.values())
        moved = self._movement()
        counts = [count for number in range(len(layers)) if (count := self._count(number))]
        unpacked = sum(count.unpacked for count in counts)
        hidden = sum(count.hidden_bytes for count in counts)
        made = sum(size for number, size in outcome.sizes.items() if number not in outcome.held)
        upload = moved.sent + made if moved else None
        return PlatformPlan(
            platform=str(self.image.platform),
            source_digest=self.image.digest,
            base_layers=self.base.count,
            base_reason=self.base.reason,
            layers_before=len(layers),
            layers_after=len(self._staying) + len(outcome.sizes) + outcome.further_layers,
            compressed_before=_size(layers),
            compressed_after=staying + new,
            estimated_after=staying + self._estimate(),
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
            estimated=bool(outcome.estimated),
        )

    @property
    def _staying(self) -> Sequence[Placed]:
        """The layers that a copy brings as they are."""
        first = self.base.count
        numbers = [number for number in self.outcome.staying if number >= first]
        return (*self.kept, *(self.above[number - first] for number in numbers))

    def _movement(self) -> _Movement | None:
        """What happens to unchanged layers and to the config; None without a target."""
        if self.config[1].in_target is None:
            return None
        held = sum(self.outcome.sizes[number] for number in self.outcome.held)
        sizes = {"reused": held, "mountable": 0, "sent": 0}
        seen: set[Digest] = set()
        for blob, place in (*self._staying, self.config):
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
        layer, place = self.image.manifest.layers[number], self._place(number)
        count = self._count(number)
        role = self.outcome.roles[number]
        after: int | None = layer.size
        if role is LayerRole.BASE:
            shares = shares_of_base([blob for blob, _ in self.kept], self.base.count)
            after = shares[number].size
        elif role is LayerRole.SQUASHED:
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

    def _place(self, number: int) -> Place:
        """Where the target has a layer; a base in squashed form is there with all of its layers."""
        if number >= self.base.count:
            return self.above[number - self.base.count][1]
        if self.base.squashed is None:
            return self.kept[number][1]
        if self.config[1].in_target is None:
            return Place(None, None)
        absent = [place for _, place in self.kept if not place.in_target]
        if not absent:
            return Place(in_target=True, mountable_from=None)
        return next((place for place in absent if place.mountable_from is None), absent[0])


@dataclass(frozen=True, slots=True)
class _Movement:
    """What a copy does with blobs that it does not make; sizes in bytes."""

    reused: int
    mountable: int
    sent: int


def _size(blobs: Sequence[Descriptor]) -> int:
    return sum(blob.size for blob in blobs)
