"""Every trap of squashing, pruned: whatever is dropped, the image looks as it did.

The trees are those of the tables (traps/), read by an unpacker that shares no code with the scan
(tests/model/forgiving.py). Nothing is repaired: a link to a file of a lower layer stays one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, combinations

import pytest
from _pytest.mark import ParameterSet

from squashproxy.errors import Ambiguous
from squashproxy.squash.cut import iter_pruned
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.prune import PruneScan
from squashproxy.testing import LayerBuilder, Packing
from tests.model.batches import BATCH, each_batch
from tests.model.forgiving import read_forgivingly
from tests.model.node import Node, compare_trees
from tests.model.pruning import prune_in_process, scan_in_process
from tests.squash.nodes import as_tree
from tests.squash.trap import PackedLayer, Trap
from tests.squash.traps.tables import TABLES

SMALL = 20_000
"""Tars up to so many bytes are also read byte by byte."""


def _cases() -> Iterator[ParameterSet]:
    for table, traps in TABLES.items():
        for name, trap in traps.items():
            for kept in range(len(trap.layers)):
                yield pytest.param(trap, kept, id=f"{table}: {name} - {kept} kept")


each_case = pytest.mark.parametrize(("trap", "kept"), list(_cases()))


def subsets(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every choice of some, all or none of the numbers."""
    return chain.from_iterable(combinations(numbers, size) for size in range(len(numbers) + 1))


def tree_differences(tars: Sequence[bytes], expected: dict[bytes, Node]) -> list[str]:
    """Where the layers do not unpack to the tree; the root counts where it is in the tree."""
    found = read_forgivingly(tars)
    if b"" not in expected:
        found.pop(b"", None)
    return compare_trees(expected, found)


@pytest.mark.parametrize("table", TABLES)
def test_the_unpacker_sees_each_trap_as_its_table_says(table: str) -> None:
    for name, trap in TABLES[table].items():
        assert tree_differences(trap.tars, as_tree(trap.tree)) == [], name


@each_case
def test_whichever_layers_are_rewritten_it_looks_as_it_did(trap: Trap, kept: int) -> None:
    tars = trap.tars
    cuts = scan_in_process(tars, kept)
    assert list(cuts) == list(reversed(range(kept, len(tars))))
    for rewritten in subsets(range(kept, len(tars))):
        pruned = prune_in_process(tars, cuts, rewritten)
        assert pruned[:kept] == tars[:kept]
        difference = tree_differences(pruned, as_tree(trap.tree))
        assert difference == [], f"layers {rewritten} rewritten:\n" + "\n".join(difference)


@each_case
def test_what_is_left_is_shorter_by_what_was_hidden(trap: Trap, kept: int) -> None:
    tars = trap.tars
    cuts = scan_in_process(tars, kept)
    for number, cut in cuts.items():
        if cut.is_nothing:
            continue
        spans = iter_pruned(PackedLayer(tars[number], Packing.NONE), cut, 0)
        pruned = b"".join(bytes(span.data) for span in spans)
        assert len(pruned) == len(tars[number]) - cut.hidden_bytes
        assert cut.hidden_bytes > 0


@each_case
def test_pruned_again_nothing_more_goes(trap: Trap, kept: int) -> None:
    tars = trap.tars
    cuts = scan_in_process(tars, kept)
    once = prune_in_process(tars, cuts, cuts)
    again = scan_in_process(once, kept)
    assert all(cut.is_nothing for cut in again.values())


@pytest.mark.long
@each_case
def test_chunk_sizes_do_not_matter(trap: Trap, kept: int) -> None:
    tars = trap.tars
    cuts = scan_in_process(tars, kept)
    pruned = prune_in_process(tars, cuts, cuts)
    small = sum(map(len, tars)) <= SMALL
    for chunk in (1, 512, 513) if small else (511, 65_537):
        assert scan_in_process(tars, kept, chunk) == cuts
        assert prune_in_process(tars, cuts, cuts, chunk) == pruned


@pytest.mark.parametrize("table", TABLES)
def test_strict_refuses_what_a_strict_squash_refuses(table: str) -> None:
    for name, trap in TABLES[table].items():
        layers = [PackedLayer(tar, Packing.NONE) for tar in trap.tars]
        for kept in trap.iter_kept():
            refused = ""
            try:
                PruneScan(layers, MergeOptions(kept=kept, strict=True)).run()
            except Ambiguous as error:
                refused = str(error)
            assert bool(refused) == bool(trap.warnings.get(kept)), (name, kept, refused)
            assert not refused or refused.endswith("leave `strict` off to prune it as it is")


class TestWildLayers:
    """Layers of random entries, as wrong as tars can be: twice the same path, links and whiteouts
    anywhere, entries behind symlinks and below files."""

    @each_batch(600, always=300)
    def test_they_look_as_they_did(self, first: int) -> None:
        for seed in range(first, first + BATCH):
            layers = wild_layers(random.Random(seed))
            problem = wild_problem(layers)
            if problem is not None:
                small = shrunk(layers)
                pytest.fail(f"seed {seed}: {wild_problem(small)}\nas small as possible: {small}")


Entry = tuple[str, str, str]
"""A method of LayerBuilder, the path, and what else it takes."""
Wild = list[list[Entry]]
_PATHS = ("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "s", "s/a")
_KINDS = ("file", "file", "directory", "directory", "symlink", "hardlink", "whiteout", "opaque")


def wild_layers(dice: random.Random) -> Wild:
    """Two to four layers of up to six entries."""
    layers: Wild = []
    for number in range(dice.randint(2, 4)):
        entries = [_wild_entry(dice, number) for _ in range(dice.randint(1, 6))]
        layers.append([entry for entry in entries if is_readable([*layers, [entry]])])
        while not is_readable(layers):
            layers[-1].pop()
    return layers


def _wild_entry(dice: random.Random, number: int) -> Entry:
    kind, path = dice.choice(_KINDS), dice.choice(_PATHS)
    more = {
        "file": f"{number}{dice.randrange(9)}" if dice.random() < 0.8 else "",
        "symlink": dice.choice(("d", "/d/e", "../a", "a")),
        "hardlink": dice.choice(_PATHS),
    }
    return kind, path, more.get(kind, "")


def is_readable(layers: Wild) -> bool:
    """Whether each link leads to something that is no directory, and no symlinks to a circle."""
    try:
        read_forgivingly(built(layers))
    except AssertionError:
        return False
    return True


def built(layers: Wild) -> list[bytes]:
    """The tars of the layers."""
    return [_built(entries) for entries in layers]


def _built(entries: Sequence[Entry]) -> bytes:
    layer = LayerBuilder()
    for kind, path, more in entries:
        if kind == "file":
            layer.file(path, more.encode())
        elif kind == "directory":
            layer.directory(path)
        elif kind == "symlink":
            layer.symlink(path, more)
        elif kind == "hardlink":
            layer.hardlink(path, more)
        elif kind == "whiteout":
            layer.whiteout(path)
        else:
            layer.opaque(path)
    return layer.tar()


def wild_problem(layers: Wild) -> str | None:
    """What is wrong when the layers are pruned, for any number of kept layers and any choice."""
    tars = built(layers)
    expected = read_forgivingly(tars)
    for kept in range(len(tars)):
        cuts = scan_in_process(tars, kept)
        for rewritten in subsets(range(kept, len(tars))):
            try:
                difference = tree_differences(prune_in_process(tars, cuts, rewritten), expected)
            except AssertionError as error:
                difference = [str(error)]
            if difference:
                return f"{kept} kept, {rewritten} rewritten: {difference}"
    return None


def shrunk(layers: Wild) -> Wild:
    """As few entries as still show a problem."""
    for number, entries in enumerate(layers):
        for index in range(len(entries)):
            fewer = [
                *layers[:number],
                entries[:index] + entries[index + 1 :],
                *layers[number + 1 :],
            ]
            if is_readable(fewer) and wild_problem(fewer) is not None:
                return shrunk(fewer)
    return layers
