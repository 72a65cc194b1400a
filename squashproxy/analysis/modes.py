"""The three modes of a copy side by side, and which of them moves the fewest bytes.

An image is rarely the last of its name. So a mode is judged by what it uploads for this version and
for the nine after it, which are taken to differ as this one does from what the target has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from squashproxy.analysis.outcome import Outcome
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.results import LayerPlan, LayerRole, ModePlan
from squashproxy.squash.layer import LayerCount

_LATER_VERSIONS = 9
_WORTH_IT = 0.99
"""A mode that moves this share of another's bytes, or more, is not worth its rewriting."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An image whose first `kept` layers are its base, and what the chosen `mode` makes of it.

    `changes_from` is the number of the lowest layer in which the next version is taken to differ.
    """

    layers: Sequence[LayerPlan]
    kept: int
    mode: Mode
    outcome: Outcome
    threshold: PruneThreshold
    changes_from: int
    secrets: int

    @property
    def modes(self) -> tuple[ModePlan, ...]:
        """Each mode, in the order of `Mode`; one of them is recommended."""
        plans = [self._plan(mode, self._sizes(mode)) for mode in Mode]
        best = self._best(plans)
        return tuple(replace(plan, recommended=plan.mode is best) for plan in plans)

    def _plan(self, mode: Mode, sizes: Mapping[int, int]) -> ModePlan:
        is_made = mode is self.mode and not self.outcome.is_unchanged
        has_target = all(layer.in_target is not None for layer in self.layers)
        further = self.outcome.further_layers if is_made else 0
        return ModePlan(
            mode=mode,
            layers_after=len(sizes) + further,
            compressed_after=sum(sizes.values()),
            upload_bytes=self._upload(mode, sizes) if has_target else None,
            next_upload_bytes=sum(
                size for number, size in sizes.items() if self._changes(mode, number)
            ),
            estimated=not is_made and self._rewrites(mode, sizes),
            recommended=False,
        )

    def _sizes(self, mode: Mode) -> dict[int, int]:
        """The sizes of the result's layers, by the number of the lowest layer that each is of."""
        if mode is self.mode:
            return {
                **{number: self.layers[number].compressed for number in self.outcome.staying},
                **self.outcome.sizes,
            }
        sizes = {number: layer.compressed for number, layer in enumerate(self.layers)}
        above = range(self.kept, len(self.layers))
        if mode is Mode.PRUNE:
            for number in above:
                sizes[number] = self._pruned(number)
            return {number: size for number, size in sizes.items() if size}
        if mode is Mode.SQUASH and len(above) > 1:
            left = sum(self._left(number) for number in above)
            sizes = {number: sizes[number] for number in range(self.kept)}
            return {**sizes, self.kept: left} if left else sizes
        return sizes

    def _pruned(self, number: int) -> int:
        count, packed = self._count(number), self.layers[number].compressed
        if not self.threshold.is_met_by(count.hidden_bytes, count.unpacked, packed):
            return packed
        return self._left(number)

    def _left(self, number: int) -> int:
        """The share of a layer's blob that no layer hides."""
        count, packed = self._count(number), self.layers[number].compressed
        if not count.unpacked:
            return packed
        return round(packed * (1 - count.hidden_bytes / count.unpacked))

    def _count(self, number: int) -> LayerCount:
        return self.outcome.counts.get(number) or LayerCount()

    def _changes(self, mode: Mode, number: int) -> bool:
        """Whether the next version has another layer there; a squashed layer is always another."""
        return number >= self.changes_from or (mode is Mode.SQUASH and number >= self.kept)

    def _upload(self, mode: Mode, sizes: Mapping[int, int]) -> int:
        return sum(size for number, size in sizes.items() if not self._is_held(mode, number, size))

    def _is_held(self, mode: Mode, number: int, size: int) -> bool:
        """Whether the target has the layer, or can mount it."""
        layer = self.layers[number]
        is_same = number < self.kept or mode is Mode.COPY or size == layer.compressed
        return is_same and bool(layer.in_target or layer.mountable_from)

    def _rewrites(self, mode: Mode, sizes: Mapping[int, int]) -> bool:
        if mode is Mode.COPY:
            return False
        before = {number: layer.compressed for number, layer in enumerate(self.layers)}
        return dict(sizes) != before

    def _best(self, plans: Sequence[ModePlan]) -> Mode:
        """The mode with the fewest bytes over ten versions; the one that changes least, of equals.

        Nothing that holds a hidden secret is copied as it is.
        """
        order = (Mode.COPY, Mode.PRUNE, Mode.SQUASH)
        candidates = [mode for mode in order if mode in Mode and not self._leaks(mode)]
        totals = {plan.mode: _total(plan) for plan in plans}
        best = candidates[0]
        for mode in candidates[1:]:
            if totals[mode] < totals[best] * _WORTH_IT:
                best = mode
        return best

    def _leaks(self, mode: Mode) -> bool:
        above = [layer for layer in self.layers if layer.role is not LayerRole.BASE]
        return mode is Mode.COPY and bool(self.secrets and above)


def _total(plan: ModePlan) -> int:
    return plan.compressed_after + _LATER_VERSIONS * plan.next_upload_bytes
