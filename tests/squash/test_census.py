"""The layers of the base, counted behind a merge: as if a merge had read them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from squashproxy.errors import BadArchive, LimitExceeded
from squashproxy.squash.census import Census
from squashproxy.squash.layer import HiddenEntry, LayerCount, MergeOptions, MergeReport
from squashproxy.squash.merge import Merge
from squashproxy.squash.restart import merge_with_restarts
from squashproxy.testing import LayerBuilder as Layer
from tests.model.batches import BATCH, each_batch
from tests.model.census import Counted, count_layers
from tests.model.squashing import MemoryLayer
from tests.model.stacks import Stack, random_stack, shrink
from tests.squash.test_counts import HIDDEN

STACKS = 600
ALWAYS = 300
"""So many of the stacks are counted in every run, the others with `--long`."""
BLOCK = 512
LOWER_LINK = "a lower file that an upper layer's link took over"
"""With the file in the base, which stays as it is, the link becomes a file of its own."""


@dataclass(slots=True)
class Heard:
    """Collects the hidden bytes of each layer, as they are reported."""

    payload: dict[int, int] = field(default_factory=dict)

    def hidden(self, entry: HiddenEntry) -> None:
        self.payload[entry.layer] = self.payload.get(entry.layer, 0) + entry.size

    def revived(self, _path: bytes, layer: int, size: int) -> None:
        self.payload[layer] -= size


@dataclass(frozen=True, slots=True)
class Read:
    """All layers' counts and the merge's output."""

    counts: dict[int, LayerCount]
    merged: bytes
    report: MergeReport
    payload: dict[int, int]

    def counted(self, number: int) -> Counted:
        count = self.counts[number]
        return Counted(
            count.unpacked,
            count.entries,
            count.hidden_entries,
            count.hidden_bytes,
            self.payload.get(number, 0),
        )


def read(tars: Sequence[bytes], kept: int, chunk: int = 65536, memory: int | None = None) -> Read:
    """Merge all above the first `kept` layers and count those."""
    layers = [MemoryLayer(f"layer {n}", tar, chunk) for n, tar in enumerate(tars)]
    heard = Heard()
    options = MergeOptions(
        kept=kept, max_memory=memory, on_hidden=heard.hidden, on_revived=heard.revived
    )

    def run(merge: Merge) -> Read:
        heard.payload.clear()
        merged = b"".join(bytes(span.data) for span in merge.iter_spans())
        census = Census(merge.index, options)
        counts = {number: merge.report.layers[number] for number in range(kept, len(tars))}
        for number in reversed(range(kept)):
            counts[number] = census.count(number, layers[number])
        return Read(counts, merged, merge.report, heard.payload)

    return merge_with_restarts(layers, options, run)


def problem(stack: Stack) -> str | None:
    """How the counts differ from those made the plain way, for any number of kept layers."""
    tars = stack.build().tars
    expected = count_layers(tars)
    for kept in range(len(tars) + 1):
        found = read(tars, kept)
        for number, count in enumerate(expected):
            if found.counted(number) != count:
                return f"{kept} kept, layer {number}: {found.counted(number)}, should be {count}"
    return None


@each_batch(STACKS, always=ALWAYS)
def test_every_layer_of_a_random_stack_is_counted_as_unpacking_it_shows(first: int) -> None:
    for seed in range(first, first + BATCH):
        stack = random_stack(seed)
        if problem(stack) is not None:
            small = shrink(stack, lambda smaller: problem(smaller) is not None)
            pytest.fail(f"seed {seed}, made small:\n{small}\n{problem(small)}", pytrace=False)


@pytest.mark.parametrize("chunk", [1, 512, 65536])
@pytest.mark.parametrize("case", sorted(HIDDEN.keys() - {LOWER_LINK}))
def test_a_kept_layer_is_counted_as_a_merged_one(case: str, chunk: int) -> None:
    layers, expected = HIDDEN[case]
    tars = [layer.tar() for layer in layers]
    for kept in range(1, len(tars) + 1):
        found = read(tars, kept, chunk)
        hidden = {n: count.hidden_bytes for n, count in found.counts.items() if count.hidden_bytes}
        assert hidden == expected


def test_counting_changes_nothing_of_the_merge() -> None:
    base = Layer().directory("d").file("d/x", b"x" * 700)
    tars = [layer.tar() for layer in (base, Layer().file("a", b"1"), Layer().whiteout("d/x"))]
    merged = read(tars, 1)
    alone = Merge(
        [MemoryLayer(f"layer {n}", tar, 512) for n, tar in enumerate(tars)], MergeOptions(kept=1)
    )
    assert merged.merged == b"".join(bytes(span.data) for span in alone.iter_spans())
    assert merged.report.fallbacks == alone.report.fallbacks == 0
    assert merged.report.hidden_bytes == 0
    assert merged.counts[0].hidden_bytes == 3 * BLOCK


def test_upper_layers_of_the_base_hide_what_lower_ones_hold() -> None:
    layers = (
        Layer().file("a", b"1" * 600).file("b", b"1"),
        Layer().file("a", b"2" * 600),
        Layer().file("c"),
        Layer().whiteout("b"),
    )
    found = read([layer.tar() for layer in layers], 3)
    assert [found.counts[number].hidden_bytes for number in range(4)] == [5 * BLOCK, 0, 0, 0]


def test_of_a_path_that_stands_twice_all_entries_but_the_last_are_hidden() -> None:
    base = (
        Layer().file("a", b"1" * 600).file("a", b"2").file("d/x").file("a", b"3").symlink("d", "a")
    )
    found = read([base.tar(), Layer().file("k").tar()], 1)
    assert found.counts[0].entries == 5
    assert found.counts[0].hidden_entries == 3
    assert found.counts[0].hidden_bytes == (3 + 2 + 1) * BLOCK
    gone = read([base.tar(), Layer().whiteout("a").tar()], 1)
    assert gone.counts[0].hidden_entries == 4


def test_a_path_behind_a_symlink_of_its_layer_is_hidden_where_it_lands() -> None:
    base = Layer().directory("d").symlink("s", "d").file("s/x", b"x")
    found = read([base.tar(), Layer().whiteout("d/x").tar()], 1)
    assert found.counts[0].hidden_bytes == 2 * BLOCK


def test_what_links_keep_alive_is_taken_back_once() -> None:
    base = Layer().file("a", b"x" * 600).hardlink("b", "a").hardlink("c", "b").hardlink("d", "a")
    upper = Layer().whiteout("a").whiteout("b")
    found = read([base.tar(), upper.tar()], 1)
    assert found.counted(0) == count_layers([base.tar(), upper.tar()])[0]
    assert found.counts[0].hidden_bytes == BLOCK
    assert found.payload[0] == 0


def test_what_it_may_remember_is_bounded() -> None:
    base = Layer()
    for number in range(200):
        base.file(f"f{number}")
    with pytest.raises(LimitExceeded, match="`memory`"):
        read([base.tar(), Layer().file("k").tar()], 1, memory=20_000)


def test_a_damaged_layer_is_told_as_a_merge_would() -> None:
    with pytest.raises(BadArchive, match="layer 0 is cut short"):
        read([Layer().file("a", b"x" * 600).tar()[:700], Layer().file("k").tar()], 1)
