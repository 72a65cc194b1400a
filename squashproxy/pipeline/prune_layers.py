"""Pruning the layers of one image: what can go is found first, then some layers are written again.

The layers are read from the top down to find what each can lose (squash/prune.py), and sent to the
target on the way. A layer that loses enough is not sent on; it is read a second time and written
without what it loses. A layer that would not become smaller stays as it is, unless it holds what
looks like a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.pipeline.mode import PruneThreshold
from squashproxy.pipeline.new_layer import LayerMaker, NewLayer
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.prefetch import Prefetch
from squashproxy.pipeline.results import LayerAction
from squashproxy.pipeline.sending import Sending
from squashproxy.pipeline.source_layer import SourceLayer
from squashproxy.pipeline.squash_layers import merge_options
from squashproxy.pipeline.threads import CopyThreads
from squashproxy.squash.index import PathIndex
from squashproxy.squash.layer import HiddenEntry, LayerCount
from squashproxy.squash.prune import Cut, PruneScan, iter_pruned
from squashproxy.streams import closed_after

CutName = tuple[Digest, Digest]
"""A layer's digest, and what is taken from it: results of pruning differ only by these."""


@dataclass(frozen=True, slots=True)
class PrunedLayer:
    """A layer above the base: `action` is KEPT, PRUNED or DROPPED; `new` is what was PRUNED."""

    action: LayerAction
    new: NewLayer | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What can go from each layer above the base, by its number, and what each layer holds.

    `sent` are the layers that stay as they are, and whose blobs went to the target while they were
    read. `index` is what the layers say of each path, for a census of the base.
    """

    cuts: dict[int, Cut]
    counts: dict[int, LayerCount]
    sent: frozenset[int]
    index: PathIndex


class LayerSender(Protocol):
    """Begins to send a layer to the target while it is read."""

    def __call__(self, layer: Descriptor) -> Sending | None:
        """None where the layer's bytes need not be sent."""
        ...


def find_cuts(
    layers: Sequence[SourceLayer],
    kept: int,
    options: CopyOptions,
    threads: CopyThreads,
    *,
    send: LayerSender | None = None,
    on_hidden: Callable[[HiddenEntry], None] | None = None,
) -> Findings:
    """Read the layers above the first `kept`, and `send` on the way those that lose too little.

    `on_hidden` is called for each entry that can go. Raises what the scan raises.
    """
    offers = _Offers(layers, options.prune_over, send)
    prefetch = Prefetch(layers, kept, threads, None if send is None else offers.iter_passed)
    scan = offers.scan = PruneScan(
        prefetch.layers, merge_options(layers, kept, options, on_hidden=on_hidden)
    )
    scan.run(lambda number: offers.settle(number, scan.cuts[number], scan.counts[number]))
    return Findings(scan.cuts, scan.counts, frozenset(offers.confirmed), scan.index)


@dataclass(slots=True)
class _Offers:
    """The layers that are sent while they are read."""

    layers: Sequence[SourceLayer]
    threshold: PruneThreshold
    send: LayerSender | None
    scan: PruneScan | None = None
    confirmed: list[int] = field(default_factory=list)
    _sendings: dict[int, Sending] = field(default_factory=dict)

    def iter_passed(self, number: int, blob: Iterator[bytes]) -> Iterator[bytes]:
        """The blob, sent as well unless the target has it."""
        descriptor = self.layers[number].descriptor
        sending = None if self.send is None else self.send(descriptor)
        if sending is None:
            return blob
        self._sendings[number] = sending
        return self._iter_watched(descriptor.size, sending, sending.iter_passed(blob))

    def _iter_watched(self, size: int, sending: Sending, blob: Iterator[bytes]) -> Iterator[bytes]:
        """Stop sending a layer that seems to lose enough. If it does not, it is read again."""
        fetched = 0
        with closed_after(blob) as chunks:
            for chunk in chunks:
                yield chunk
                fetched += len(chunk)
                if self.scan is not None and not sending.is_refused:
                    read = self.scan.unpacked_so_far * size // fetched
                    if self.threshold.is_met_by(self.scan.hidden_so_far, read, size):
                        sending.refuse()

    def settle(self, number: int, cut: Cut, count: LayerCount) -> None:
        """Say whether the target is to have a layer that was read to its end."""
        sending = self._sendings.pop(number, None)
        if sending is None:
            return
        packed = self.layers[number].descriptor.size
        if loses_enough(cut, count, packed, self.threshold):
            sending.refuse()
        elif not sending.is_refused:
            sending.confirm()
            self.confirmed.append(number)


def loses_enough(cut: Cut, count: LayerCount, packed: int, threshold: PruneThreshold) -> bool:
    """Whether a layer whose blob has `packed` bytes is to be written again without the cut."""
    if cut.is_nothing:
        return False
    return cut.has_secret or threshold.is_met_by(cut.hidden_bytes, count.unpacked, packed)


@dataclass(slots=True)
class LayerPruner:
    """Decides on the layers above the first `kept`, from the top down, and writes some again.

    `layers` are all of the image, base first. `maker_for` gives what makes the layer of a number
    anew. `known` holds the results so far, which images of one index share.
    """

    layers: Sequence[SourceLayer]
    kept: int
    findings: Findings
    options: CopyOptions
    maker_for: Callable[[int], LayerMaker]
    known: dict[CutName, NewLayer] = field(default_factory=dict)

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
            cut = self.findings.cuts[number]
            if number in staying:
                is_clear &= not cut.holds_hidden
                continue
            if cut.leaves_nothing and is_clear:
                yield number, PrunedLayer(LayerAction.DROPPED)
                continue
            new = self._write_again(number)
            if new.descriptor.size >= self._packed(number) and not cut.has_secret:
                is_clear &= not cut.holds_hidden
                yield number, PrunedLayer(LayerAction.KEPT)
            else:
                is_clear &= not (cut.unseen or cut.held_back)
                yield number, PrunedLayer(LayerAction.PRUNED, new)

    def _write_again(self, number: int) -> NewLayer:
        layer, cut = self.layers[number], self.findings.cuts[number]
        name = (layer.descriptor.digest, cut.name)
        new = self.known.get(name)
        if new is None:
            maker = self.maker_for(number)
            (readable,) = Prefetch([layer], 0, maker.threads).layers
            new = maker.make(iter_pruned(readable, cut, 0), f"prune {layer.number}")
            assert new is not None, "a pruned layer has an end at least"
            self.known[name] = new
        return new

    def _loses_enough(self, number: int) -> bool:
        cut, count = self.findings.cuts[number], self.findings.counts[number]
        return loses_enough(cut, count, self._packed(number), self.options.prune_over)

    def _packed(self, number: int) -> int:
        return self.layers[number].descriptor.size


@dataclass(frozen=True, slots=True)
class PrunedImage:
    """The layers of a pruned image: `base` and `staying` as the target has them."""

    base: Sequence[Descriptor]
    above: Mapping[int, PrunedLayer]
    staying: Mapping[int, Descriptor]
    findings: Findings

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
        cuts, counts = self.findings.cuts, self.findings.counts
        return sum(
            cuts[number].hidden_bytes if layer.new is not None else counts[number].unpacked
            for number, layer in self.above.items()
            if layer.action is not LayerAction.KEPT
        )

    def diff_ids(self, source: Sequence[Digest]) -> list[Digest | None]:
        """The diff ID for each layer of the source, None where it was left out."""
        result: list[Digest | None] = list(source)
        for number, pruned in self.above.items():
            if pruned.action is LayerAction.DROPPED:
                result[number] = None
            elif pruned.new is not None:
                result[number] = pruned.new.diff_id
        return result
