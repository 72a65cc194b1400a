"""What a merge tells of hidden bytes, entry by entry, and exactly."""

from __future__ import annotations

import pytest

from squashproxy.squash.layer import HiddenEntry, MergeOptions
from squashproxy.testing import LayerBuilder as Layer
from squashproxy.testing import SparseForm, TarFormat
from tests.squash.trap import squash

BLOCK = 512

HIDDEN = {
    "nothing": ([Layer().file("a", b"1"), Layer().file("b", b"2")], {}),
    "a file: header, payload, padding": (
        [Layer().file("a", b"x" * 700), Layer().file("a")],
        {0: 3 * BLOCK},
    ),
    "an empty file": ([Layer().file("a"), Layer().whiteout("a")], {0: BLOCK}),
    "a whole block of payload has no padding": (
        [Layer().file("a", b"x" * 512), Layer().whiteout("a")],
        {0: 2 * BLOCK},
    ),
    "pax headers count with their entry": (
        [Layer().file("a", b"x", xattrs={"user.a": b"y" * 600}), Layer().whiteout("a")],
        {0: (1 + 2 + 2) * BLOCK},
    ),
    "long GNU names count with their entry": (
        [Layer(TarFormat.GNU).file("n" * 200, b"x"), Layer().whiteout("n" * 200)],
        {0: (2 + 2) * BLOCK},
    ),
    "whiteouts are no hidden bytes": (
        [Layer().file("k"), Layer().whiteout("a").whiteout("b"), Layer().whiteout("a")],
        {},
    ),
    "directories that an upper layer describes again": (
        [Layer().directory("d").file("d/x", b"x"), Layer().directory("d").file("d/y", b"y")],
        {0: BLOCK},
    ),
    "all in a deleted directory": (
        [
            Layer().directory("d").file("d/x", b"x").symlink("d/s", "x").hardlink("d/h", "d/x"),
            Layer().whiteout("d"),
        ],
        {0: (1 + 2 + 1 + 1) * BLOCK},
    ),
    "a file that lives on as its link is not hidden": (
        [Layer().file("a", b"x" * 5000).hardlink("b", "a"), Layer().whiteout("a")],
        {},
    ),
    "a file and its links, all hidden": (
        [Layer().file("a", b"x" * 5000).hardlink("b", "a"), Layer().whiteout("a").whiteout("b")],
        {0: (1 + 10 + 1) * BLOCK},
    ),
    "in several layers": (
        [
            Layer().file("a", b"x" * 100).file("b", b"x" * 100),
            Layer().file("a", b"x" * 1000),
            Layer().file("a", b"x").whiteout("b"),
        ],
        {0: 4 * BLOCK, 1: 3 * BLOCK},
    ),
    "a duplicate, read again": (
        [Layer().file("a", b"x" * 1000).file("k").file("a", b"y")],
        {0: 3 * BLOCK},
    ),
    "leftovers of aufs": (
        [Layer().file(".wh..wh.aufs").directory(".wh..wh.orph").file("k")],
        {0: 2 * BLOCK},
    ),
    "a sparse file by what it takes in the tar": (
        [
            Layer().sparse("a", [(1 << 20, b"x" * 512)], 2 << 20, SparseForm.GNU_OLD),
            Layer().whiteout("a"),
        ],
        {0: 2 * BLOCK},
    ),
    "a lower file that an upper layer's link took over": (
        [Layer().file("a", b"x" * 100), Layer().hardlink("b", "a"), Layer().whiteout("a")],
        {},
    ),
}


@pytest.mark.parametrize("chunk", [1, 512, 65536])
@pytest.mark.parametrize("case", HIDDEN)
def test_hidden_bytes_are_exact_layer_by_layer(case: str, chunk: int) -> None:
    layers, expected = HIDDEN[case]
    report = squash([layer.tar() for layer in layers], MergeOptions(), chunk).report
    found = {number: count.hidden_bytes for number, count in report.layers.items()}
    assert {number: size for number, size in found.items() if size} == expected
    assert report.hidden_bytes == sum(expected.values())


def test_entries_and_unpacked_bytes_count_every_layer_once_however_often_it_was_read() -> None:
    tars = [
        Layer().file("a", b"1").hardlink("b", "a").file("c").file("c").tar(),
        Layer().file("a", b"2").tar(record_size=10240),
    ]
    report = squash(tars, MergeOptions(recent_hidden_bytes=0)).report
    assert report.fallbacks == 2
    assert report.entries == 5
    assert report.unpacked == sum(map(len, tars))
    assert report.layers[0].entries == 4
    assert report.layers[1].unpacked == 10240


def test_the_kept_base_is_not_counted() -> None:
    tars = [Layer().file("a", b"base").tar(), Layer().hardlink("b", "a").whiteout("k").tar()]
    report = squash(tars, MergeOptions(kept=1)).report
    assert report.fallbacks == 1
    assert report.unpacked == len(tars[1])
    assert report.entries == 2
    assert report.hidden_bytes == 0


def test_each_hidden_entry_is_told_with_its_size_its_layer_and_what_hides_it() -> None:
    told: list[HiddenEntry] = []
    layers = [
        Layer().directory("d").file("d/x", b"x" * 300).file("a", b"1").file("z"),
        Layer().file("a", b"22").file("d/y", b"y"),
        Layer().file("a", b"333").whiteout("d").directory("./").opaque("z"),
        Layer().file("z", b"top"),
    ]
    squash([layer.tar() for layer in layers], MergeOptions(on_hidden=told.append))
    assert told == [
        HiddenEntry(b"a", 2, layer=1, hidden_by=2),
        HiddenEntry(b"d/y", 1, layer=1, hidden_by=2),
        HiddenEntry(b"d", 0, layer=0, hidden_by=2),
        HiddenEntry(b"d/x", 300, layer=0, hidden_by=2),
        HiddenEntry(b"a", 1, layer=0, hidden_by=2),
        HiddenEntry(b"z", 0, layer=0, hidden_by=3),
    ]


TOUCHED = {
    "one layer as it is": ([Layer().file("a").directory("d")], 0, False),
    "two layers that share nothing": ([Layer().file("a"), Layer().file("b")], 0, False),
    "something hidden": ([Layer().file("a"), Layer().file("a")], 0, True),
    "a whiteout above a base": ([Layer().file("a"), Layer().whiteout("a")], 1, False),
    "a whiteout without a base": ([Layer().whiteout("a").file("k")], 0, True),
    "an opaque marker above a base": (
        [Layer().directory("d"), Layer().directory("d").opaque("d")],
        1,
        False,
    ),
    "an opaque marker without a base": ([Layer().directory("d").opaque("d")], 0, True),
    "a global header": ([Layer().global_pax_header({"comment": "x"}).file("a")], 0, True),
    "leftovers of aufs": ([Layer().file(".wh..wh.aufs").file("a")], 0, True),
    "a link to the base": ([Layer().file("a"), Layer().hardlink("b", "a")], 1, True),
    "a path through a symlink": (
        [Layer().directory("d").symlink("s", "d").file("s/x")],
        0,
        True,
    ),
    "a whiteout and its directory": (
        [Layer().directory("d"), Layer().whiteout("d").directory("d")],
        1,
        True,
    ),
}


@pytest.mark.parametrize("case", TOUCHED)
def test_a_layer_counts_as_touched_where_its_entries_do_not_stay_as_they_are(case: str) -> None:
    layers, kept, touched = TOUCHED[case]
    report = squash([layer.tar() for layer in layers], MergeOptions(kept=kept)).report
    assert report.touched == touched
