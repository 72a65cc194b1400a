"""Finding what each layer of an image can lose, and sending on the way what stays.

The layers are read from the top down (squash/prune.py); those that the memory of layers knows are
not. Each blob that the target lacks is sent while it is read, until its layer seems to lose enough
to be written again; the end is held back until that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Protocol

from squashproxy.layer_memory.base import LayerMemory
from squashproxy.oci.descriptor import Descriptor
from squashproxy.pipeline.mode import PruneThreshold
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.rewrite.squash_layers import merge_options
from squashproxy.pipeline.transfer.prefetch import Prefetch
from squashproxy.pipeline.transfer.sending import Sending
from squashproxy.pipeline.transfer.source_layer import SourceLayer
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.squash.cut import Cut
from squashproxy.squash.index import PathIndex
from squashproxy.squash.layer import HiddenEntry, KnownLayer, LayerCount, MergeOptions
from squashproxy.squash.listing import Listing
from squashproxy.squash.prune import PruneScan
from squashproxy.streams import closed_after


@dataclass(frozen=True, slots=True)
class Cuts:
    """What can go from each layer above the base, by its number, and what each layer holds.

    `sent` are the layers that stay as they are, and whose blobs went to the target while they were
    read. `listings` are those that were remembered: these layers were not read. `index` is what the
    layers say of each path, for a census of the base. `cuts`, `counts` and `sent` grow while a
    CutFinder runs.
    """

    cuts: Mapping[int, Cut]
    counts: Mapping[int, LayerCount]
    sent: AbstractSet[int]
    listings: Mapping[int, Listing]
    index: PathIndex


def find_listings(
    layers: Sequence[SourceLayer], numbers: Iterable[int], memory: LayerMemory
) -> dict[int, Listing]:
    """The listings that the memory has of layers of these numbers."""
    return {
        number: listing
        for number in numbers
        if (listing := memory.find_listing(layers[number].descriptor.digest)) is not None
    }


class LayerSender(Protocol):
    """Begins to send a layer to the target while it is read."""

    def __call__(self, layer: Descriptor) -> Sending | None:
        """None where the layer's bytes need not be sent."""
        ...


class CutFinder:
    """Reads the layers above the first `kept`, and `send`s on the way those that lose too little.

    Layers of which the listings are `known`, by default to the memory of the options, are not read.
    `on_hidden` is called for each entry that can go, and at the end `warn` for what unpackers
    disagree about. `found` is complete when `run` has ended.
    """

    def __init__(
        self,
        layers: Sequence[SourceLayer],
        kept: int,
        options: CopyOptions,
        threads: CopyThreads,
        *,
        send: LayerSender | None = None,
        on_hidden: Callable[[HiddenEntry], None] | None = None,
        known: Mapping[int, Listing] | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._warn = warn
        memory = options.memory
        above = range(kept, len(layers))
        listings = find_listings(layers, above, memory) if known is None else known

        def keep(number: int, listing: Listing) -> None:
            memory.keep_listing(layers[number].descriptor.digest, listing)

        self._offers = _Offers(layers, options.prune_over, send)
        passes = None if send is None else self._offers.iter_passed
        prefetch = Prefetch(layers, kept, threads, passes)
        scanned = [
            KnownLayer(layer.where, listings[number]) if number in listings else layer
            for number, layer in enumerate(prefetch.layers)
        ]
        choices = merge_options(layers, kept, options, on_hidden=on_hidden)
        scan = PruneScan(scanned, replace(choices, on_listing=keep))
        self._scan = self._offers.scan = scan
        self.found = Cuts(scan.cuts, scan.counts, self._offers.confirmed, listings, scan.index)

    def run(self, on_cut: Callable[[int], None] = lambda _: None) -> None:
        """Read the layers from the top down; `on_cut` gets each one's number when it has its cut.

        Raises what the scan raises.
        """

        def settle(number: int) -> None:
            self._offers.settle(number, self._scan.cuts[number], self._scan.counts[number])
            on_cut(number)

        self._scan.run(settle)
        for sentence in self._scan.warnings:
            self._warn(sentence)


@dataclass(slots=True)
class _Offers:
    """The layers that are sent while they are read."""

    layers: Sequence[SourceLayer]
    threshold: PruneThreshold
    send: LayerSender | None
    scan: PruneScan | None = None
    confirmed: set[int] = field(default_factory=set)
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
            self.confirmed.add(number)


def is_known_to_stay(above: Sequence[Descriptor], options: CopyOptions) -> bool:
    """Whether the memory knows all layers above the base, and none loses enough.

    A single one loses nothing.
    """
    known: list[KnownLayer] = []
    for layer in above if len(above) > 1 else ():
        listing = options.memory.find_listing(layer.digest)
        if listing is None:
            return False
        known.append(KnownLayer(layer.digest, listing))
    scan = PruneScan(known, MergeOptions())
    scan.run()
    return not any(
        loses_enough(cut, scan.counts[number], above[number].size, options.prune_over)
        for number, cut in scan.cuts.items()
    )


def loses_enough(cut: Cut, count: LayerCount, packed: int, threshold: PruneThreshold) -> bool:
    """Whether a layer whose blob has `packed` bytes is to be written again without the cut."""
    if cut.is_nothing:
        return False
    return bool(cut.secrets) or threshold.is_met_by(cut.hidden_bytes, count.unpacked, packed)
