"""The outcome of a dry run: what would stand in the place of each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from squashproxy.oci.descriptor import Descriptor
from squashproxy.pipeline.results import LayerAction, LayerRole
from squashproxy.pipeline.rewrite.prune_layers import PrunedImage
from squashproxy.pipeline.rewrite.squash_layers import Squashed
from squashproxy.squash.layer import LayerCount

_ROLES = {
    LayerAction.KEPT: LayerRole.KEPT,
    LayerAction.PRUNED: LayerRole.PRUNED,
    LayerAction.REUSED: LayerRole.PRUNED,
    LayerAction.DROPPED: LayerRole.DROPPED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a copy would make of an image; sizes in bytes.

    `roles` has one for each layer of the source, base first. `sizes` are those of the layers that
    would be made, by the number of the layer in whose place they are; the others stay.
    `counts` are those of the layers above the base. `unpacked_after` is the size of what is left of
    the layers above the base. Where a squashed layer is cut into several, `sizes` has the size of
    all, and `further_layers` is how many there are beside the first. `held` are the numbers of
    those that the target has already, `estimated` of those that were not made: of each layer, what
    stays is taken to compress as all of it does now.
    """

    roles: tuple[LayerRole, ...]
    sizes: Mapping[int, int]
    counts: Mapping[int, LayerCount]
    unpacked: int
    unpacked_after: int
    fallbacks: int
    further_layers: int = 0
    held: frozenset[int] = frozenset()
    estimated: frozenset[int] = frozenset()

    @property
    def staying(self) -> tuple[int, ...]:
        """The numbers of the layers that stay as they are."""
        stay = (LayerRole.BASE, LayerRole.KEPT)
        return tuple(number for number, role in enumerate(self.roles) if role in stay)

    @property
    def is_unchanged(self) -> bool:
        """Whether every layer stays, and with them the config."""
        return len(self.staying) == len(self.roles)

    @property
    def layers_after(self) -> int:
        """The number of layers of the result."""
        return len(self.staying) + len(self.sizes) + self.further_layers


def unmerged_outcome(layers: int) -> Outcome:
    """The outcome for an image whose layers are never merged: all stay, and none was counted."""
    return Outcome((LayerRole.BASE,) * layers, {}, {}, 0, 0, 0)


def squashed_outcome(squashed: Squashed, kept: int, layers: Sequence[Descriptor]) -> Outcome:
    """The outcome of squashing the layers above the first `kept`."""
    report, new = squashed.report, squashed.layers
    above = LayerRole.KEPT if squashed.is_kept else LayerRole.SQUASHED
    kept_size = report.unpacked if squashed.is_kept else 0
    return Outcome(
        roles=tuple(LayerRole.BASE if n < kept else above for n in range(len(layers))),
        sizes={kept: sum(layer.descriptor.size for layer in new)} if new else {},
        counts={n: count for n, count in report.layers.items() if n >= kept},
        unpacked=report.unpacked,
        unpacked_after=sum(layer.unpacked for layer in new) if new else kept_size,
        fallbacks=report.fallbacks,
        further_layers=max(0, len(new) - 1),
    )


def pruned_outcome(pruned: PrunedImage, kept: int) -> Outcome:
    """The outcome of pruning the layers above the first `kept`."""
    roles = [_ROLES[pruned.above[number].action] for number in sorted(pruned.above)]
    counts = pruned.found.counts
    unpacked = sum(count.unpacked for count in counts.values())
    return Outcome(
        roles=(*[LayerRole.BASE] * kept, *roles),
        sizes={
            number: layer.new.descriptor.size
            for number, layer in pruned.above.items()
            if layer.new is not None
        },
        counts=counts,
        unpacked=unpacked,
        unpacked_after=unpacked - pruned.lost,
        fallbacks=0,
        held=frozenset(
            number for number, layer in pruned.above.items() if layer.action is LayerAction.REUSED
        ),
    )
