"""A kept base may be exchanged for its squashed form: what was merged above it looks the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet

from squashproxy.squash.layer import MergeOptions
from tests.model.inode import Inode, tree_of
from tests.model.node import Kind, compare_trees
from tests.model.squashing import squash_in_process
from tests.model.stacks import random_stack
from tests.model.untar import Names, apply_layer, phantoms
from tests.squash.trap import Trap, squash
from tests.squash.traps.tables import TABLES

STACKS = 150


def _cases() -> Iterator[ParameterSet]:
    for table, traps in TABLES.items():
        for name, trap in traps.items():
            for kept in trap.iter_kept():
                if kept:
                    yield pytest.param(trap, kept, id=f"{table}: {name} - {kept} squashed")


@pytest.mark.parametrize(("trap", "kept"), list(_cases()))
def test_every_trap_looks_the_same_on_a_squashed_base(trap: Trap, kept: int) -> None:
    above = squash(trap.tars, MergeOptions(kept=kept)).tar
    names: Names = {name.encode(): Inode(Kind.DIRECTORY, 0o755) for name in trap.bare.split()}
    base = apply_layer(names, squash(trap.tars[:kept]).tar)
    difference = compare_trees(trap.expected(kept), tree_of(apply_layer(base, above)))
    assert difference == [], "\n".join(difference)


def test_random_stacks_look_the_same_on_a_squashed_base() -> None:
    compared = 0
    for seed in range(STACKS):
        built = random_stack(seed).build()
        for kept in range(1, len(built.tars)):
            above = squash_in_process(built.tars, kept)
            base = apply_layer({}, squash_in_process(built.tars[:kept], 0))
            assert phantoms(base, above) == [], f"stack {seed}, {kept} squashed"
            original: Names = {}
            for tar in built.tars[:kept]:
                original = apply_layer(original, tar, lenient=True)
            difference = compare_trees(
                tree_of(apply_layer(original, above)), tree_of(apply_layer(base, above))
            )
            assert difference == [], f"stack {seed}, {kept} squashed:\n" + "\n".join(difference)
            compared += 1
    assert compared > STACKS
