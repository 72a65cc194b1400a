"""Every known trap of squashing: what its layers unpack to, and no alarm for a right squash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet

from squashproxy.squash.layer import MergeOptions
from squashproxy.verify.compare import compare
from tests.model.node import compare_trees
from tests.squash.nodes import as_tree
from tests.squash.trap import Trap, squash
from tests.squash.traps.tables import TABLES
from tests.verify.unpacking import nodes, unpack


def _traps() -> Iterator[ParameterSet]:
    for table, traps in TABLES.items():
        for name, trap in traps.items():
            yield pytest.param(table, trap, id=f"{table}: {name}")


each_trap = pytest.mark.parametrize(("table", "trap"), list(_traps()))


@each_trap
def test_the_layers_unpack_to_the_traps_tree(table: str, trap: Trap) -> None:
    """Links into lower layers, which unpackers cannot make, form groups only after a squash."""
    expected = as_tree(trap.tree)
    found = nodes(unpack(trap.tars))

    def is_left_out(path: bytes, field: str) -> bool:
        is_undescribed_root = path == b"" and path not in expected
        return is_undescribed_root or (field == "links" and table == "links to lower layers")

    difference = compare_trees(expected, found, is_left_out)
    assert difference == [], "\n".join(difference)


@each_trap
def test_a_squash_shows_no_difference_for_any_number_of_kept_layers(table: str, trap: Trap) -> None:
    source = unpack(trap.tars)
    for kept in range(len(trap.tars)):
        result = unpack([*trap.tars[:kept], squash(trap.tars, MergeOptions(kept=kept)).tar])
        assert compare(source, result).differences == (), f"{table}, {kept} layers kept"
