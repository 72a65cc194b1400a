"""The three modes of a copy side by side, and the one that moves the fewest bytes.

An image is rarely the last of its name. So a mode is judged by what the target stores of this
version and of the nine after it, which are taken to differ where this one does from the version
that the target has; without one, in the uppermost layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from squashproxy.analysis.outcome import Outcome
from squashproxy.oci.descriptor import Descriptor
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.results import LayerPlan, LayerRole, ModePlan

_LATER_VERSIONS = 9
_WORTH_IT = 0.99
"""A mode that needs more than this share of another's bytes is not worth its rewriting."""
_LEAST_REWRITING = (Mode.COPY, Mode.PRUNE, Mode.SQUASH)


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of a result; `is_new`: the next version has another one in its place."""

    size: int
    is_held: bool
    is_new: bool
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """An image, and what the chosen `mode` would make of it.

    `layers` are those of the source. `base` are the sizes of the layers that stand for the first
    `kept` of them where the image is rewritten. The next version is taken to differ from layer
    number `changes_from` on.
    """

    layers: Sequence[LayerPlan]
    kept: int
    base: Sequence[Descriptor]
    mode: Mode
    outcome: Outcome
    threshold: PruneThreshold
    changes_from: int
    secrets: int

    @property
    def modes(self) -> tuple[ModePlan, ...]:
        """Each mode, one of which is recommended."""
        plans = [self._plan(mode, self._result(mode)) for mode in Mode]
        best = self._best(plans)
        return tuple(replace(plan, recommended=plan.mode is best) for plan in plans)

    def _plan(self, mode: Mode, result: Sequence[_Layer]) -> ModePlan:
        has_target = all(layer.in_target is not None for layer in self.layers)
        sent = sum(layer.size for layer in result if not layer.is_held)
        return ModePlan(
            mode=mode,
            layers_after=len(result),
            compressed_after=sum(layer.size for layer in result),
            upload_bytes=sent if has_target else None,
            next_upload_bytes=sum(layer.size for layer in result if layer.is_new),
            estimated=any(layer.is_estimated for layer in result),
            recommended=False,
        )

    def _result(self, mode: Mode) -> list[_Layer]:
        """The layers of what a mode makes."""
        if mode is Mode.COPY:
            return [self._same(number) for number in range(len(self.layers))]
        above = range(self.kept, len(self.layers))
        if mode is Mode.SQUASH and len(above) > 1:
            return [*self._base(), *self._squashed(above)]
        make = self._pruned if mode is Mode.PRUNE else self._same
        layers = [make(number) for number in above]
        return [*self._base(), *(layer for layer in layers if layer is not None)]

    def _base(self) -> list[_Layer]:
        held = [_is_held(layer) for layer in self.layers[: self.kept]]
        is_all_held = all(held)
        return [
            _Layer(
                layer.size,
                held[number] if len(self.base) == self.kept else is_all_held,
                number >= self.changes_from,
            )
            for number, layer in enumerate(self.base)
        ]

    def _same(self, number: int) -> _Layer:
        layer = self.layers[number]
        return _Layer(layer.compressed, _is_held(layer), number >= self.changes_from)

    def _pruned(self, number: int) -> _Layer | None:
        layer, is_new = self.layers[number], number >= self.changes_from
        if self.mode is Mode.PRUNE:
            if layer.role is LayerRole.DROPPED:
                return None
            size = self.outcome.sizes.get(number)
            if size is None:
                return self._same(number)
            is_estimated = number in self.outcome.estimated
            return _Layer(size, number in self.outcome.held, is_new, is_estimated)
        hidden, unpacked = layer.hidden_bytes or 0, layer.unpacked or 0
        if not self.threshold.is_met_by(hidden, unpacked, layer.compressed):
            return self._same(number)
        left = _left(layer)
        return _Layer(left, is_held=False, is_new=is_new, is_estimated=True) if left else None

    def _squashed(self, above: range) -> list[_Layer]:
        """The squashed layer; any change above the base makes another one of it."""
        if self.mode is Mode.SQUASH:
            return [
                _Layer(
                    size,
                    is_held=False,
                    is_new=True,
                    is_estimated=number in self.outcome.estimated,
                )
                for number, size in self.outcome.sizes.items()
            ]
        size = sum(_left(self.layers[number]) for number in above)
        return [_Layer(size, is_held=False, is_new=True, is_estimated=True)] if size else []

    def _best(self, plans: Sequence[ModePlan]) -> Mode:
        """The mode that needs the fewest bytes; of about equals, the one that rewrites least.

        An image in which a secret is hidden is not to be copied as it is.
        """
        totals = {
            plan.mode: plan.compressed_after + _LATER_VERSIONS * plan.next_upload_bytes
            for plan in plans
        }
        best, *others = _LEAST_REWRITING[1:] if self.secrets else _LEAST_REWRITING
        for mode in others:
            if totals[mode] < totals[best] * _WORTH_IT:
                best = mode
        return best


def _left(layer: LayerPlan) -> int:
    """The share of a layer's blob that no layer hides."""
    if not layer.unpacked:
        return layer.compressed
    return round(layer.compressed * (1 - (layer.hidden_bytes or 0) / layer.unpacked))


def _is_held(layer: LayerPlan) -> bool:
    """Whether the target has a layer of the source, or can mount it."""
    return bool(layer.in_target or layer.mountable_from)
