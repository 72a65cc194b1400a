"""Pruning under test, as functions on layer tars."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from squashproxy.squash.cut import Cut, iter_pruned
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.prune import PruneScan
from tests.model.squashing import MemoryLayer


def scan_in_process(layers: Sequence[bytes], kept: int, chunk: int = 65536) -> dict[int, Cut]:
    """What can go from each of `layers[kept:]`, by its number."""
    scan = PruneScan(_opened(layers, chunk), MergeOptions(kept=kept))
    scan.run()
    return scan.cuts


def prune_in_process(
    layers: Sequence[bytes], cuts: Mapping[int, Cut], rewritten: Collection[int], chunk: int = 65536
) -> list[bytes]:
    """The layers as they are afterwards, if only some are rewritten."""
    result = []
    is_clear = True
    for number, layer in reversed(list(enumerate(_opened(layers, chunk)))):
        cut = cuts.get(number)
        if cut is None or cut.is_nothing or number not in rewritten:
            is_clear &= cut is None or not cut.holds_hidden
            result.append(layers[number])
        elif not (cut.leaves_nothing and is_clear):
            is_clear &= not (cut.unseen or cut.held_back)
            spans = iter_pruned(layer, cut, 0)
            result.append(b"".join(bytes(span.data) for span in spans))
    return result[::-1]


def _opened(layers: Sequence[bytes], chunk: int) -> list[MemoryLayer]:
    return [MemoryLayer(f"layer {n}", tar, chunk) for n, tar in enumerate(layers)]
