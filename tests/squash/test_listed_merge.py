"""A merge of listings counts, warns and fails as a merge of the layers does, and gives no bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from squashproxy.errors import SquashproxyError
from squashproxy.squash.layer import (
    HiddenEntry,
    LayerCount,
    MergeOptions,
    MergeReport,
    ScannedLayer,
)
from squashproxy.squash.listing import Listing
from squashproxy.squash.merge import Merge
from squashproxy.squash.restart import merge_with_restarts
from tests.model.listings import known_layers
from tests.model.squashing import MemoryLayer
from tests.model.stacks import random_stack
from tests.squash.traps.tables import TABLES

STACKS = 200
TRAPS = {f"{table}: {name}": trap for table in TABLES for name, trap in TABLES[table].items()}
ROOMS = (0, 6 << 20)
REWRITTEN = 4096
"""The most by which headers of rewritten entries differ in these stacks; see ListedScanner."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that a merge says; `length` is that of its output in bytes."""

    counts: dict[int, LayerCount]
    hidden: list[HiddenEntry]
    revived: list[tuple[bytes, int, int]]
    warnings: tuple[str, ...]
    fallbacks: int
    touched: bool
    empty: bool


def merge(
    layers: Sequence[ScannedLayer], kept: int, room: int = 6 << 20
) -> tuple[Found | str, int]:
    """What a merge finds, or the sentence with which it fails, and the length of its output."""
    hidden: list[HiddenEntry] = []
    revived: list[tuple[bytes, int, int]] = []
    length = 0

    def run(each: Merge) -> MergeReport:
        nonlocal length
        hidden.clear()
        revived.clear()
        length = sum(len(span.data) for span in each.iter_spans())
        return each.report

    def revive(path: bytes, layer: int, size: int) -> None:
        revived.append((path, layer, size))

    options = MergeOptions(
        kept=kept, recent_hidden_bytes=room, on_hidden=hidden.append, on_revived=revive
    )
    try:
        report = merge_with_restarts(layers, options, run)
    except SquashproxyError as error:
        return str(error), 0
    found = Found(
        report.layers,
        hidden,
        revived,
        report.warnings,
        report.fallbacks,
        report.touched,
        report.empty,
    )
    return found, length


def check_alike(tars: Sequence[bytes], kept: int, room: int, *, knows_touched: bool = True) -> None:
    """`knows_touched` is false where a layer has a global header: these are in no listing."""
    read = [MemoryLayer(f"layer {number}", tar, 65536) for number, tar in enumerate(tars)]
    exact, length = merge(read, kept, room)
    listed, listed_length = merge(known_layers(tars), kept, room)
    if not knows_touched:
        assert isinstance(exact, Found)
        assert isinstance(listed, Found)
        listed = replace(listed, touched=exact.touched)
    assert listed == exact
    assert abs(listed_length - length) <= REWRITTEN


@pytest.mark.parametrize("first", range(0, STACKS, 100))
def test_of_random_stacks(first: int) -> None:
    for seed in range(first, first + 100):
        print(f"seed {seed}")  # noqa: T201 - names the seed of a failure, pytest shows it
        tars = random_stack(seed).build().tars
        for kept in range(len(tars)):
            check_alike(tars, kept, random.Random(seed).choice(ROOMS))


@pytest.mark.parametrize("name", TRAPS)
def test_of_every_trap(name: str) -> None:
    trap = TRAPS[name]
    for kept in trap.iter_kept():
        check_alike(trap.tars, kept, 6 << 20, knows_touched="a global header" not in name)


def test_a_merge_records_each_layer_that_it_reads() -> None:
    tars = random_stack(7).build().tars
    known = known_layers(tars)
    layers: list[ScannedLayer] = [
        *known[:1], *(MemoryLayer(f"layer {n}", tar, 700) for n, tar in enumerate(tars) if n)
    ]  # fmt: skip
    recorded: dict[int, Listing] = {}
    options = MergeOptions(on_listing=recorded.__setitem__)
    merge_with_restarts(layers, options, Merge.run)
    assert recorded == {number: known[number].listing for number in range(1, len(tars))}
