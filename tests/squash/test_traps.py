"""Every trap of squashing that is known, by name: what must come of it, base kept or not.

The tables are in traps/; what is true of all of them is here. The tree that a case must give is
written in it, and read from the result by an unpacker that shares no code with the merge.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product

import pytest
from _pytest.mark import ParameterSet

from squashproxy.errors import Ambiguous
from squashproxy.span import Kept
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import Packing
from tests.model.node import compare_trees
from tests.model.untar import phantoms, trailing_bytes, whiteouts
from tests.squash.trap import PackedLayer, Trap, squash, squash_layers
from tests.squash.traps.tables import TABLES

REAL = {Packing.PIGZ: pytest.mark.real}
PACKINGS = tuple(packing for packing in Packing if packing not in REAL)
END = bytes(1024)
SMALL = 20_000
"""Tars up to so many bytes are also read byte by byte."""


def _cases() -> Iterator[ParameterSet]:
    for table, traps in TABLES.items():
        for name, trap in traps.items():
            for kept in trap.iter_kept():
                yield pytest.param(trap, kept, id=f"{table}: {name} - {kept} kept")


each_case = pytest.mark.parametrize(("trap", "kept"), list(_cases()))
ROOMS = {"read again": 0, "taken over": MergeOptions().recent_hidden_bytes}
each_room = pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
"""Whether links take over hidden files when their layer is read again, or at once."""


@each_room
@each_case
def test_the_result_looks_as_the_layers_did(trap: Trap, kept: int, room: int) -> None:
    merged = squash(trap.tars, MergeOptions(kept=kept, recent_hidden_bytes=room)).tar
    difference = compare_trees(trap.expected(kept), trap.found(kept, merged))
    assert difference == [], "\n".join(difference)


@each_room
@each_case
def test_the_result_is_one_clean_tar(trap: Trap, kept: int, room: int) -> None:
    result = squash(trap.tars, MergeOptions(kept=kept, recent_hidden_bytes=room))
    assert result.tar == b"" or trailing_bytes(result.tar) == END
    assert result.report.empty == (not result.tar)
    assert kept or whiteouts(result.tar) == []
    assert phantoms(trap.base(kept), result.tar) == []
    if kept in trap.entries and not room:
        assert " ".join(result.entries) == trap.entries[kept]


@each_room
@each_case
def test_what_is_kept_stays_bit_for_bit(trap: Trap, kept: int, room: int) -> None:
    result = squash(trap.tars, MergeOptions(kept=kept, recent_hidden_bytes=room))
    assert result.written() <= set(trap.written.split())
    for span in result.spans:
        if isinstance(span, Kept):
            end = span.offset + len(span.data)
            assert any(tar[span.offset : end] == span.data for tar in trap.tars)


@each_case
def test_it_is_told_what_was_ambiguous_and_what_was_read_again(trap: Trap, kept: int) -> None:
    report = squash(trap.tars, MergeOptions(kept=kept, recent_hidden_bytes=0)).report
    expected = trap.warnings.get(kept, ())
    assert len(report.warnings) == len(expected), report.warnings
    for words, warning in zip(expected, report.warnings, strict=True):
        assert words in warning
    assert report.fallbacks == trap.fallbacks.get(kept, 0)
    quick = squash(trap.tars, MergeOptions(kept=kept)).report
    assert quick.fallbacks <= report.fallbacks
    assert quick.warnings == report.warnings
    assert quick.layers == report.layers


@each_case
def test_strict_refuses_what_is_warned_of_and_nothing_else(trap: Trap, kept: int) -> None:
    options = MergeOptions(kept=kept, strict=True)
    if trap.warnings.get(kept):
        with pytest.raises(Ambiguous, match="leave `strict` off"):
            squash(trap.tars, options)
    else:
        assert squash(trap.tars, options).tar == squash(trap.tars, MergeOptions(kept=kept)).tar


@each_room
@each_case
def test_chunk_sizes_do_not_matter(trap: Trap, kept: int, room: int) -> None:
    options = MergeOptions(kept=kept, recent_hidden_bytes=room)
    merged = squash(trap.tars, options).tar
    small = sum(map(len, trap.tars)) <= SMALL
    for chunk in (100, 512, 513, 4096) if small else (511, 65_537):
        assert squash(trap.tars, options, chunk).tar == merged, f"chunks of {chunk}"


def _cases_byte_by_byte() -> Iterator[ParameterSet]:
    """Each small trap with one number of kept layers and one room in turn; all with `--long`."""
    turn = count()
    for table, traps in TABLES.items():
        for name, trap in traps.items():
            if sum(map(len, trap.tars)) > SMALL:
                continue
            cases = list(product(trap.iter_kept(), ROOMS.items()))
            chosen = next(turn) % len(cases)
            for number, (kept, (room_name, room)) in enumerate(cases):
                yield pytest.param(
                    trap,
                    kept,
                    room,
                    id=f"{table}: {name} - {kept} kept, {room_name}",
                    marks=[] if number == chosen else [pytest.mark.long],
                )


@pytest.mark.parametrize(("trap", "kept", "room"), list(_cases_byte_by_byte()))
def test_it_may_come_byte_by_byte(trap: Trap, kept: int, room: int) -> None:
    options = MergeOptions(kept=kept, recent_hidden_bytes=room)
    assert squash(trap.tars, options, 1).tar == squash(trap.tars, options).tar


@each_room
@each_case
def test_a_squashed_image_has_nothing_left_to_squash(trap: Trap, kept: int, room: int) -> None:
    options = MergeOptions(kept=kept, recent_hidden_bytes=room)
    merged = squash(trap.tars, options).tar
    again = squash([*trap.tars[:kept], merged], options)
    assert again.tar == merged
    assert again.report.hidden_bytes == 0
    assert not again.report.touched
    assert again.report.warnings == ()


@pytest.mark.parametrize("table", TABLES)
def test_headers_of_our_own_are_written_where_a_case_says_so(table: str) -> None:
    for name, trap in TABLES[table].items():
        written = {
            entry
            for kept in trap.iter_kept()
            for entry in squash(trap.tars, MergeOptions(kept=kept, recent_hidden_bytes=0)).written()
        }
        assert written == set(trap.written.split()), name


@pytest.mark.parametrize(
    "top",
    [pytest.param(packing, marks=REAL.get(packing, ()), id=packing.value) for packing in Packing],
)
@pytest.mark.parametrize("table", TABLES)
def test_packings_and_their_mixes_do_not_matter(top: Packing, table: str) -> None:
    """The top layer is packed with `top`, those below it with each packing in turn."""
    turn = count()
    for name, trap in TABLES[table].items():
        tars = trap.tars
        packings = [*(PACKINGS[next(turn) % len(PACKINGS)] for _ in tars[1:]), top]
        layers = [PackedLayer(tar, packing) for tar, packing in zip(tars, packings, strict=True)]
        for kept in trap.iter_kept():
            options = MergeOptions(kept=kept)
            assert squash_layers(layers, options).tar == squash(tars, options).tar, name
