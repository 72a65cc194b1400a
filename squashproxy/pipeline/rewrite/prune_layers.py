"""Pruning the layers of one image: some are written again without what upper layers hide.

A layer that loses enough is read a second time and written without what it loses, unless an earlier
result will do. That begins as soon as its cut is known, beside the scan of the layers below. A
layer that would not become smaller stays as it is, unless it holds what looks like a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from squashproxy.digest import Digest
from squashproxy.layer_memory.pruned_result import (
    Ordinals,
    PrunedResult,
    is_subset,
    left_in,
    left_out,
)
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, layer_type
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import LayerAction
from squashproxy.pipeline.rewrite.find_cuts import Cuts, loses_enough
from squashproxy.pipeline.rewrite.new_layer import LayerMaker, NewLayer
from squashproxy.pipeline.transfer.lane import Lane
from squashproxy.pipeline.transfer.prefetch import Prefetch
from squashproxy.pipeline.transfer.source_layer import SourceLayer
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.span import Span
from squashproxy.squash.cut import iter_pruned
from squashproxy.squash.walk import check_listing

_LAYERS_AT_ONCE = 2
"""Layers that are written again at the same time: each takes about 15 MB of memory."""

CutName = tuple[Digest, Digest]
"""A layer's digest, and what is taken from it: results of pruning differ only by these."""


@dataclass(frozen=True, slots=True)
class PrunedLayer:
    """What became of a layer above the base: KEPT, PRUNED, REUSED or DROPPED.

    `new` is the layer that was made, or that an earlier run made; `left_in` is how much of what can
    go it still holds, in bytes of tar.
    """

    action: LayerAction
    new: NewLayer | None = None
    left_in: int = 0


@dataclass(slots=True)
class LayerPruner:
    """Decides on the layers above the first `kept`, from the top down, and writes some again.

    `layers` are all of the image, base first. `found` is what a CutFinder finds, which may run
    meanwhile; layers are written beside it in `threads`. `maker_for` gives what makes the layer of
    a number anew, `is_held` says whether the target has a blob. `known` holds the results so far,
    which images of one index share. With `stand_in`, nothing is read or written: it gives what
    stands for the layer of a number.
    """

    layers: Sequence[SourceLayer]
    kept: int
    found: Cuts
    options: CopyOptions
    threads: CopyThreads
    maker_for: Callable[[int], LayerMaker]
    is_held: Callable[[Descriptor], bool] = lambda _: False
    known: dict[CutName, NewLayer] = field(default_factory=dict)
    stand_in: Callable[[int], NewLayer] | None = None
    _proven: set[int] = field(default_factory=set)
    _begun: dict[CutName, Future[NewLayer]] = field(default_factory=dict)
    _reused: dict[int, PrunedLayer] = field(default_factory=dict)
    _lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self._lane = Lane(self.threads, _LAYERS_AT_ONCE)

    def begin(self, number: int) -> None:
        """Begin to write a layer again, now that its cut is known, if that is sure to be needed.

        A cut by remembered listings waits until these were compared with their layers.
        """
        cut = self.found.cuts[number]
        if not self._loses_enough(number) or cut.leaves_nothing:
            return
        if any(listed >= number for listed in self.found.listings):
            return
        name = self._cut_name(number)
        if name in self._begun:
            return
        reused = self._try_reuse(number)
        if reused is not None:
            self._reused[number] = reused
        else:
            make = partial(self._make, number, self.maker_for(number))
            self._begun[name] = self._lane.begin(make)

    def iter_pruned(self) -> Iterator[tuple[int, PrunedLayer]]:
        """Each layer above the base with its number: first those that stay whatever becomes of
        others, then the rest from the top down. Raises what reading and writing raise.
        """
        above = range(self.kept, len(self.layers))
        staying = [number for number in above if not self._loses_enough(number)]
        for number in staying:
            yield number, PrunedLayer(LayerAction.KEPT)
        is_clear = True
        for number in reversed(above):
            cut = self.found.cuts[number]
            if number in staying:
                is_clear &= not cut.holds_hidden
                continue
            if cut.leaves_nothing and is_clear:
                self._prove_left_out(number)
                yield number, PrunedLayer(LayerAction.DROPPED)
                continue
            layer = self._without_cut(number)
            if layer.new is not None and self._is_worth_it(number, layer.new.descriptor):
                is_clear &= not (cut.unseen or cut.held_back or layer.left_in)
                yield number, layer
            else:
                is_clear &= not cut.holds_hidden
                yield number, PrunedLayer(LayerAction.KEPT)

    def _without_cut(self, number: int) -> PrunedLayer:
        """The layer without its cut: made before, being made, or made now."""
        reused = self._reused.get(number)
        if reused is None and self._cut_name(number) not in self._begun:
            reused = self._try_reuse(number)
        return reused or self._write_again(number)

    def _is_worth_it(self, number: int, new: Descriptor) -> bool:
        """Whether a layer that is made takes the place of the source's own."""
        return new.size < self._packed(number) or bool(self.found.cuts[number].secrets)

    def _try_reuse(self, number: int) -> PrunedLayer | None:
        """A result of the past that the target holds, and that lacks nearly all that can go."""
        cut, descriptor = self.found.cuts[number], self.layers[number].descriptor
        shared = self.known.get(self._cut_name(number))
        if shared is not None:
            return PrunedLayer(LayerAction.REUSED, shared)
        maker = self.maker_for(number)
        media_type = layer_type(maker.family, maker.compression)
        for result in self.options.memory.find_results(descriptor.digest):
            if result.is_nothing or result.compression is not maker.compression:
                continue
            if not self._is_near(number, result):
                continue
            blob = Descriptor(media_type, result.digest, result.size)
            left = cut.hidden_bytes - result.hidden_bytes
            if self.is_held(blob) or not (left or self._is_worth_it(number, blob)):
                new = NewLayer(blob, result.diff_id, result.unpacked, spliced=0, reencoded=0)
                return PrunedLayer(LayerAction.REUSED, new, left)
        return None

    def _is_near(self, number: int, result: PrunedResult) -> bool:
        """Whether a result is right, and holds too little of what can go to be made again."""
        cut, count = self.found.cuts[number], self.found.counts[number]
        left = cut.hidden_bytes - result.hidden_bytes
        return (
            is_subset(result, cut)
            and cut.secrets.isdisjoint(left_in(result, cut))
            and not self.options.prune_over.is_met_by(left, count.unpacked, self._packed(number))
        )

    def _write_again(self, number: int) -> PrunedLayer:
        if self.stand_in is not None:
            return PrunedLayer(LayerAction.PRUNED, self.stand_in(number))
        name = self._cut_name(number)
        maker = self.maker_for(number)
        begun = self._begun.pop(name, None)
        if begun is not None:
            new = self._lane.await_result(begun)
        else:
            self._prove(number + 1)
            new = self._make(number, maker)
        self.known[name] = new
        self._remember(number, new, maker.compression)
        return PrunedLayer(LayerAction.PRUNED, new)

    def _make(self, number: int, maker: LayerMaker) -> NewLayer:
        """The layer without its cut. Raises what reading and writing raise."""
        layer = self.layers[number]
        listing = self.found.listings.get(number)

        def begin() -> Iterator[Span]:
            (readable,) = Prefetch([layer], 0, self.threads).layers
            return iter_pruned(readable, self.found.cuts[number], 0, listing)

        new = maker.make(begin, f"prune {layer.number}")
        assert new is not None, "a pruned layer has an end at least"
        return new

    def _cut_name(self, number: int) -> CutName:
        return self.layers[number].descriptor.digest, self.found.cuts[number].name

    def _prove_left_out(self, number: int) -> None:
        """As `_prove`, for a layer that is left out, unless it was before for the same reason."""
        if self.stand_in is not None:
            return
        layer, cut = self.layers[number], self.found.cuts[number]
        result = left_out(layer.descriptor.digest, layer.diff_id, cut)
        if result not in self.options.memory.find_results(layer.descriptor.digest):
            self._prove(number)
            self.options.memory.keep_result(result)

    def _prove(self, lowest: int) -> None:
        """Compare the layers from `lowest` on with their remembered listings, by which a layer is
        cut for the first time: each is read for that once. Raises IntegrityError.
        """
        for number in range(lowest, len(self.layers)):
            listing = self.found.listings.get(number)
            if listing is not None and number not in self._proven:
                (readable,) = Prefetch([self.layers[number]], 0, self.threads).layers
                check_listing(readable, listing)
                self._proven.add(number)

    def _remember(self, number: int, new: NewLayer, compression: Compression) -> None:
        layer, cut = self.layers[number], self.found.cuts[number]
        result = PrunedResult(
            layer.descriptor.digest,
            layer.diff_id,
            Ordinals(cut.dropped),
            Ordinals(cut.whiteouts),
            cut.hidden_bytes,
            compression,
            new.descriptor.digest,
            new.descriptor.size,
            new.diff_id,
            new.unpacked,
        )
        self.options.memory.keep_result(result)

    def _loses_enough(self, number: int) -> bool:
        cut, count = self.found.cuts[number], self.found.counts[number]
        return loses_enough(cut, count, self._packed(number), self.options.prune_over)

    def _packed(self, number: int) -> int:
        return self.layers[number].descriptor.size


@dataclass(frozen=True, slots=True)
class PrunedImage:
    """The layers of a pruned image: `base` and `staying` as the target has them."""

    base: Sequence[Descriptor]
    above: Mapping[int, PrunedLayer]
    staying: Mapping[int, Descriptor]
    found: Cuts

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers of the result, base first."""
        above = [self.descriptor(number) for number in sorted(self.above)]
        return (*self.base, *(layer for layer in above if layer is not None))

    def descriptor(self, number: int) -> Descriptor | None:
        """What stands in the place of a layer above the base; None where it was left out."""
        new = self.above[number].new
        return self.staying.get(number) if new is None else new.descriptor

    @property
    def lost(self) -> int:
        """What the layers above the base lose; bytes of tar."""
        cuts, counts = self.found.cuts, self.found.counts
        return sum(
            cuts[number].hidden_bytes - layer.left_in
            if layer.new is not None
            else counts[number].unpacked
            for number, layer in self.above.items()
            if layer.action is not LayerAction.KEPT
        )


def pruned_diff_ids(
    source: Sequence[Digest], above: Mapping[int, PrunedLayer]
) -> list[Digest | None]:
    """The diff ID for each layer of the source, None where it was left out.

    `above` are the layers above the base, by number.
    """
    result: list[Digest | None] = list(source)
    for number, pruned in above.items():
        if pruned.action is LayerAction.DROPPED:
            result[number] = None
        elif pruned.new is not None:
            result[number] = pruned.new.diff_id
    return result
