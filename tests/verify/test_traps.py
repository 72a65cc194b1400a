"""Every known trap of squashing: what its layers unpack to, and no alarm for a right squash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet

from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import LayerBuilder
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


LOWER = LayerBuilder().directory("d").file("d/x", b"x").directory("d/e").file("d/e/y", b"y")
BELOW_FILES = {
    "then a directory": LayerBuilder().file("d", b"1").file("d/c", b"c").directory("d"),
    "deeper down": LayerBuilder().file("d", b"1").file("d/e/z", b"z").directory("d").file("d/c"),
    "and another file": LayerBuilder().file("d").file("d/e").directory("d").directory("d/e"),
    "of its own parent": LayerBuilder().file("d/e", b"1").file("d/e/z", b"z").directory("d/e"),
    "behind a hard link": LayerBuilder().file("q").hardlink("d", "q").file("d/c").directory("d"),
    "with a whiteout": LayerBuilder().file("d").file("d/c").directory("d").whiteout("d/x"),
    "with an opaque marker": LayerBuilder().file("d").file("d/c").directory("d").opaque("d"),
}


@pytest.mark.parametrize("middle", BELOW_FILES.values(), ids=BELOW_FILES)
@pytest.mark.parametrize("upper", [None, LayerBuilder().directory("d").file("d/up")])
def test_a_file_below_a_file_of_its_layer_shows_no_difference_either(
    middle: LayerBuilder, upper: LayerBuilder | None
) -> None:
    """Unpackers refuse such a layer; both sides read it as if only the directory were there."""
    tars = [each.tar() for each in (LOWER, middle, upper) if each is not None]
    source = unpack(tars)
    assert b"d/c" in nodes(source) or b"d/e" in nodes(source)
    for kept in range(2):
        result = unpack([*tars[:kept], squash(tars, MergeOptions(kept=kept)).tar])
        assert compare(source, result).differences == ()
